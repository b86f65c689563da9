"""Acceptor of what is said: enough of it, about what was asked, and nothing that must not be said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from verifier.batch.accept import Acceptor, Unsupported
from verifier.batch.chunk import Unclear
from verifier.batch.log import Log
from verifier.batch.times import AcceptTimes
from verifier.invariants.content import Content
from verifier.slicing import SPAN, Check
from verifier.words import content_words, folded, occurs, sentences, shared, text_of

if TYPE_CHECKING:
    from verifier.batch.judge import Batch

MANY = 4096
"""Words of a text from which on they are counted exactly."""


class AcceptContent(AcceptTimes):
    """Each text is as it must be, with at most one request that waits for it."""

    rule: Content

    def __init__(self, check: Check, batch: Batch) -> None:
        rule = check.rule
        assert isinstance(rule, Content)
        if check.mode == SPAN or rule.fold:
            raise Unsupported
        super().__init__(check, batch, rule.request, rule.event)
        self._said = self.field(rule.paths, rule.event, raw=True)
        self._asked = self.field(rule.asked_at, rule.request, raw=True) if rule.request else None
        self._verbs = tuple(verb for verb in rule.verbs if verb.isalnum())

    def settle(self, log: Log) -> None:
        """Read each text beside what was asked."""
        said = log.values[self._said.name]
        asked = log.values[self._asked.name] if self._asked is not None else []
        for steps in self.slices(log):
            requests: list[str] = []
            for at, asks, answers in steps:
                if asks:
                    requests.append(text_of(asked[at]) or "")
                if not answers:
                    continue
                text = text_of(said[at])
                if len(requests) > 1 or text is None:
                    raise Unclear("several requests at once, or no text")
                self._read(text, requests)
                self.judged += 1
                requests.clear()

    def _read(self, text: str, requests: list[str]) -> None:
        rule = self.rule
        if len(text.strip()) < rule.chars or (rule.words and len(text.split()) < rule.words):
            raise Unclear("a text that is too short")
        whole = folded(text)
        if rule.any_of and not any(occurs(word, whole) for word in rule.any_of):
            raise Unclear("a text without any of the words")
        if not all(occurs(word, whole) for word in rule.all_of) or any(occurs(word, whole) for word in rule.never):
            raise Unclear("a text that lacks a word, or has one that it must not have")
        if requests and not self._about(requests[0], text, whole):
            raise Unclear("a text about something else")
        # What occurs in the whole occurs in the sentence that it is in.
        if rule.steps and not (rule.steps == 1 and any(occurs(verb, whole) for verb in self._verbs)):
            found = sum(any(occurs(verb, sentence) for verb in rule.verbs) for sentence in sentences(text))
            if found < rule.steps:
                raise Unclear("a text with nothing to act on")

    def _about(self, request: str, text: str, whole: str) -> bool:
        overlap = self.rule.overlap
        asked = content_words(request)
        if len(asked) < overlap:
            return True
        said = set(whole.split())
        if len(said) < MANY and sum(word < "\u2e80" for word in asked & said) >= overlap:
            return True
        return shared(asked, content_words(text, MANY)) >= overlap


ACCEPTS: Mapping[type, Acceptor] = {Content: AcceptContent}
