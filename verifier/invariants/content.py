"""
content: what the server says has substance.

Why: five events in the right order that end in "OK." have shown the user nothing.

    broken   alice > {ask, "What drives our cost?"}   alice < {done, "Done."}
    holds    alice > {ask, "What drives our cost?"}   alice < {done, "Idle nodes cost most. I recommend to switch..."}

Options: `event`, `path` (a text, or a list or mapping of texts), `min_chars`, `min_words`; `any_of`, `all_of`, `never`:
words or phrases, found where they begin a word, whatever their case (`^` first: only at the begin of the text);
`relevant_to: {event, path, overlap}`: the text shares so many words with a request of the slice that waits for an
answer (words that every text has do not count, `cost` and `costs` are one); `actionable: {any, at_least}`: so many
sentences have one of these words; `fold`: the event at which a text is over that comes in pieces, the texts of `event`
until then.  `missing: violation`: each of the events must have a text; else one without is not judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldentape.event import Flag
from verifier.paths import MISSING, as_list
from verifier.record import MESSAGE, Record
from verifier.rule import Stateless
from verifier.slices import Proof, Slice, proof
from verifier.verdict import listed, plural
from verifier.words import LONGEST, content_words, folded, occurs, sentences, shared, text_of

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

_REDACTED = int(Flag.REDACTED)
REQUESTS = 8
"""Requests of a slice that wait for an answer."""
SAID = 4096
"""Different words of an answer that are compared."""


class Talk:
    """The state of a slice."""

    __slots__ = ("first", "hidden", "parts", "requests", "size")

    def __init__(self) -> None:
        self.requests: list[tuple[Record, frozenset[str]]] = []
        """Those without an answer, and what they are about."""
        self.parts: list[str] = []
        self.size = 0
        self.first: Record | None = None
        self.hidden = False
        """Some part is redacted."""


class Content(Stateless):
    """See the module."""

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        self.event = frozenset(contract.names(options["event"], (*at, "event")))
        self.paths = as_list(options["path"])
        self._gets = [contract.getters(path, (*at, "path")) for path in self.paths]
        self.demands_text = options.get("missing", "ignore") == "violation"
        self.fold = frozenset(contract.names(options.get("fold"), (*at, "fold")))
        self.chars: int = options.get("min_chars", 0)
        self.words: int = options.get("min_words", 0)
        self.any_of, self.all_of, self.never = (
            tuple(folded(word) for word in options.get(name, ())) for name in ("any_of", "all_of", "never")
        )
        about = options.get("relevant_to")
        self.request: frozenset[str] = frozenset()
        if about is not None:
            for word in ("event", "path"):
                if word not in about:
                    raise contract.error((*at, "relevant_to"), f"`relevant_to` wants `{word}`")
            self.request = frozenset(contract.names(about["event"], (*at, "relevant_to", "event")))
            self.asked_at = as_list(about["path"])
            self._asked = contract.getters(about["path"], (*at, "relevant_to", "path"))
            self.overlap: int = about.get("overlap", 1)
        action = options.get("actionable", {})
        self.verbs = tuple(folded(word) for word in action.get("any", ()))
        self.steps: int = action.get("at_least", 1) if action else 0
        if action and not self.verbs:
            raise contract.error((*at, "actionable"), "`actionable` wants `any`: the words of a sentence to act on")
        asks = (self.chars, self.words, self.any_of, self.all_of, self.never, self.request, self.steps)
        if not any(asks) and not self.demands_text:
            raise contract.error(at, "`content` demands nothing of the text")
        self.where = spec.where
        self.wants = self.event | self.fold | self.request

    def start(self, slice: Slice) -> Talk:
        """Begin with nothing asked."""
        return Talk()

    def idle(self, slice: Slice) -> bool:
        """Hold the slice while a request waits or a text goes on."""
        return not slice.state.requests and slice.state.first is None

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Remember what was asked; judge what is said."""
        talk: Talk = slice.state
        if not self.request.isdisjoint(names):
            asked = self._asked(record)
            words = content_words(text) if (text := text_of(asked)) is not None and "[r:" not in text else frozenset()
            talk.requests.append((record.slim(), words))
            if len(talk.requests) > REQUESTS:
                del talk.requests[0]
        if not self.event.isdisjoint(names) and record.kind == MESSAGE and (self.where is None or self.where(record)):
            text, path = self._read(record)
            hidden = bool(record.flags & _REDACTED) and text is not None and "[r:" in text
            if not self.fold:
                self._judge(slice, talk, record, text, path, hidden)
            else:
                talk.first = talk.first or record.slim()
                talk.hidden = talk.hidden or hidden
                if text is not None and talk.size < LONGEST:
                    talk.parts.append(text)
                    talk.size += len(text)
        if not self.fold.isdisjoint(names) and talk.first is not None:
            text = "".join(talk.parts) if talk.parts else None
            first, talk.first = talk.first, None
            self._judge(slice, talk, record, text, self.paths[0], talk.hidden, first)
            talk.parts, talk.size, talk.hidden = [], 0, False

    def _read(self, record: Record) -> tuple[str | None, str]:
        for path, get in zip(self.paths, self._gets, strict=True):
            value = get(record)
            if value is not MISSING and (text := text_of(value)) is not None:
                return text, path
        return None, self.paths[0]

    def _judge(
        self, slice: Slice, talk: Talk, record: Record, text: str | None, path: str, hidden: bool,
        first: Record | None = None,
    ) -> None:  # fmt: skip
        requests = list(talk.requests)
        if requests:
            # Answers come in any order: it takes the request that it is about, else the oldest.
            said = content_words(text, SAID) if text is not None else frozenset()
            about = (i for i, (_, words) in enumerate(requests) if shared(words, said) >= self.overlap)
            del talk.requests[next(about, 0)]
        if text is None and not self.demands_text:
            slice.inapplicable()
            return
        slice.judged()
        if text is None:
            wrong = {"missing": f"has no text ({listed(self.paths)})"}
        else:
            wrong = self._wrong(text, requests)
        if not wrong:
            return
        if hidden:
            slice.unknown("the text is redacted in the tape")
            return
        if first is not None and slice.hole(first.t, record.t, record):
            slice.unknown("the recording has a gap in the text")
            return
        name = next((n for n in record.names if n in (self.fold or self.event)), record.kind)
        proofs: list[Proof] = [] if first is None else [proof(first, "first", note="the text begins here")]
        if "relevant_to" in wrong:
            proofs = [proof(asked, "request") for asked, _ in requests] + proofs
        proofs.append(Proof(record, "offender", name, "", () if text is None else ((path, _shown(text)),)))
        slice.violated(
            proofs,
            why=f"{name} at {record.label} {' and '.join(wrong.values())}",
            expected=self._expected(wrong),
            since=requests[0][0].t if "relevant_to" in wrong else None,
            paths=tuple(wrong),
        )

    def _wrong(self, text: str, requests: list[tuple[Record, frozenset[str]]]) -> dict[str, str]:
        """Return what the text lacks: option to sentence."""
        found: dict[str, str] = {}
        size = len(text.strip())
        if size < self.chars:
            found["min_chars"] = f"has {plural(size, 'character')}"
        if self.words and (many := len(text.split())) < self.words:
            found["min_words"] = f"has {plural(many, 'word')}"
        if self.any_of or self.all_of or self.never:
            whole = folded(text)
            if self.any_of and not any(occurs(word, whole) for word in self.any_of):
                found["any_of"] = f"has none of {listed(self.any_of)}"
            if lacking := [word for word in self.all_of if not occurs(word, whole)]:
                found["all_of"] = f"lacks {listed(lacking, 'and')}"
            if bad := [word for word in self.never if occurs(word, whole)]:
                found["never"] = f"says {listed(bad, 'and')}"
        if requests and all(len(words) >= self.overlap for _, words in requests):
            said = content_words(text, SAID)
            if not any(shared(words, said) >= self.overlap for _, words in requests):
                found["relevant_to"] = f"shares no {plural(self.overlap, 'word')} with what was asked"
        if self.steps:
            steps = sum(any(occurs(verb, sentence) for verb in self.verbs) for sentence in sentences(text))
            if steps < self.steps:
                found["actionable"] = f"has {plural(steps, 'sentence')} to act on"
        return found

    def _expected(self, wrong: dict[str, str]) -> str:
        wanted = {
            "missing": f"a text at {listed(self.paths)}",
            "min_chars": f"at least {plural(self.chars, 'character')}",
            "min_words": f"at least {plural(self.words, 'word')}",
            "any_of": f"one of {listed(self.any_of)}",
            "all_of": f"all of {listed(self.all_of, 'and')}",
            "never": f"nothing of {listed(self.never)}",
            "relevant_to": "words of the request",
            "actionable": f"{plural(self.steps, 'sentence')} with {listed(self.verbs)}",
        }
        return "; ".join(wanted[option] for option in wrong)


def _shown(text: str) -> str:
    line = " ".join(text[:256].split())
    return f'"{line[:60]}…"' if len(line) > 62 else f'"{line}"'
