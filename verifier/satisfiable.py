"""Protocols that nothing satisfies, whatever comes: the pattern against the span it is judged in.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from verifier.contract import Contract, Spec
from verifier.impossible import impossible
from verifier.invariants import KINDS
from verifier.load import nearest
from verifier.oddity import Oddity
from verifier.regex import DEAD, Automaton, compile_regex
from verifier.uses import names_with
from verifier.verdict import listed


def protocols(contract: Contract) -> Iterator[Oddity]:
    """Protocols that nothing satisfies, and words that they never name."""
    dead = {
        name for name in contract.events
        if any(impossible(contract.document.value["events"][name].get("where"), ()))
    }  # fmt: skip
    for spec in contract.invariants.values():
        if spec.kind != "protocol":
            continue
        automaton = compile_regex(spec.options["pattern"])
        alphabet = spec.options.get("alphabet", "mentioned")
        if isinstance(alphabet, list):
            for index, name in enumerate(alphabet):
                if not set(names_with(contract, name)) & set(automaton.names):
                    message = f"the pattern never names {name}: it is a violation wherever it comes"
                    fix = nearest(name, automaton.names) or "name it in the pattern, or say so with `never`"
                    yield Oddity((*spec.at, "alphabet", index), "unnamed-word", "warning", message, fix)
        yield from _satisfiable(contract, spec, automaton, dead)


def _satisfiable(contract: Contract, spec: Spec, automaton: Automaton, dead: set[str]) -> Iterator[Oddity]:
    at = (*spec.at, "pattern")
    wants = KINDS["protocol"](spec, contract).wants
    span = contract.spans[spec.scope] if spec.scope is not None else None
    words = {name: tuple(n for n in names_with(contract, name) if n in wants) for name in contract.events}
    # A name of the language, such as $close, is a word of its own.
    words |= {name: (name,) for name in wants if name not in contract.events}
    live = {name: word for name, word in words.items() if word and name not in dead}
    if span is None:
        if not _reaches(automaton, {0}, live.values(), [()]):
            yield Oddity(at, "impossible-protocol", "error", f"nothing satisfies {spec.name}")
        return
    ends = {name for names in span.exits.values() for name in names}
    begins = {automaton.step(0, live[name]) if name in live else 0 for name in _plain(contract, span.open)} - {DEAD}
    between = [word for name, word in live.items() if name not in _plain(contract, ends)]
    possible: list[str] = []
    never: list[str] = []
    for exit, names in span.exits.items():
        plain = _plain(contract, names)
        if (spec.when.exit is not None and exit not in spec.when.exit) or not _said(contract, plain):
            continue  # what an ended connection leaves half-way is waived
        ok = _reaches(automaton, begins, between, [live.get(name, ()) for name in plain])
        (possible if ok else never).append(exit)
    if never and not possible:
        message = f"no {span.name} satisfies {spec.name}: it opens with {listed(sorted(span.open))}"
        yield Oddity(at, "impossible-protocol", "error", f"{message} and ends with {listed(sorted(ends))}")
    elif never:
        message = f"no {span.name} that ends as {listed([f'`{exit}`' for exit in never])} satisfies {spec.name}"
        yield Oddity(at, "impossible-exit", "warning", message, "or judge the others only: `when: {exit: [...]}`")


def _plain(contract: Contract, names: Iterable[str]) -> set[str]:
    """Return the events that are not unions, for the unions among `names` their members."""
    found: set[str] = set()
    for name in names:
        event = contract.events.get(name)
        found |= _plain(contract, event.any_of) if event is not None and event.any_of is not None else {name}
    return found


def _said(contract: Contract, names: set[str]) -> bool:
    return any(name in contract.events and contract.events[name].on == "message" for name in names)


def _reaches(
    automaton: Automaton, begins: set[int], between: Iterable[tuple[str, ...]], ends: list[tuple[str, ...]]
) -> bool:
    """Return whether a word from one of the states to acceptance exists; each of `ends` may be its last step."""
    words = list(between)
    seen, waiting = set(begins), list(begins)
    while waiting:
        state = waiting.pop()
        for end in ends:
            if automaton.accepts(automaton.step(state, end) if end else state):
                return True
        for word in words:
            following = automaton.step(state, word)
            if following != DEAD and following not in seen:
                seen.add(following)
                waiting.append(following)
    return False


__all__ = ["protocols"]
