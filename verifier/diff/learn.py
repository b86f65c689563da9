"""What has to be known of a protocol before its tapes can be compared, learnt from a part of them.  Pure.

Names of messages, the ids that hold runs together, which requests begin runs, the words that tell kinds of messages
apart (a tool's name), and objects whose keys are data.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from verifier.diff import links, names
from verifier.diff.hear import Conversation
from verifier.diff.links import Links
from verifier.diff.names import Naming, Steps, at, looks_random

LISTENED = 8_000
"""Messages of a tape that suffice to learn from."""
LABELS, KINDS = 3, 12
"""Fields that tell messages of one name apart, and kinds of runs, that are told apart at most."""
KEYS = 40
"""Different keys from which on those of an object may be data."""


@dataclass(slots=True)
class Model:
    """A protocol, as the tapes show it."""

    namings: tuple[Naming, Naming]
    """Of the baseline, of the candidate; one and the same unless the field itself was renamed."""
    links: Links
    requests: frozenset[str]
    """Messages of the client that begin runs whose id only the server says."""
    labels: dict[tuple[int, str], tuple[Steps, ...]] = field(default_factory=dict)
    """Of messages of a direction and name: the words that tell them apart."""
    maps: frozenset[tuple[str, Steps]] = frozenset()
    """Objects whose keys are data: of messages of a name, where."""

    def named(self, side: int, dir: int, value: Any) -> str:
        """Return the name of a message; of one that nothing names, the key that sets it apart."""
        return self.namings[side].name(dir, value) or _by_shape(value)

    def labels_of(self, dir: int, name: str, value: Any) -> tuple[tuple[str, str], ...]:
        """Return (field, word) of what tells a message from others of its name."""
        found = []
        for steps in self.labels.get((dir, name), ()):
            word = at(value, steps)
            if isinstance(word, str) and len(word) <= 40:
                found.append((".".join(map(str, steps)), word))
        return tuple(found)


def _by_shape(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + str(next(iter(value)))[:40] + "}" if len(value) <= 2 and value else "object"
    return "list" if isinstance(value, list) else "text" if isinstance(value, str) else "value"


def part_of(conversations: Iterable[Conversation]) -> list[Conversation]:
    """Return the first conversations, as many as suffice to learn from."""
    found, count = [], 0
    for conversation in conversations:
        found.append(conversation)
        count += len(conversation.said)
        if count >= LISTENED:
            break
    return found


def learn(baseline: Sequence[Conversation], candidate: Sequence[Conversation], given: Steps | None = None) -> Model:
    """Return the model of two sides' conversations; `given`: where the contract says that a message's type stands."""
    sides = [[(m.dir, m.value) for c in side for m in c.said] for side in (baseline, candidate)]
    first = names.learn(sides[0] or sides[1], given)
    second = first
    if given is None and sides[0] and sides[1] and not names.fits(first, sides[1]):
        second = names.learn(sides[1])
    everything = [*baseline, *candidate]
    found = links.learn(everything, first.places | second.places)
    model = Model((first, second), found, frozenset())
    for side, conversations in enumerate((baseline, candidate)):
        for conversation in conversations:
            for message in conversation.said:
                message.name = model.named(side, message.dir, message.value)
    model.requests = _requests(everything, found)
    model.labels = _labels(everything, first.places | second.places, found)
    model.maps = _maps(everything)
    return model


def _requests(conversations: Sequence[Conversation], found: Links) -> frozenset[str]:
    """Return what begins runs: messages of the client that are about as many as the runs are."""
    if found.run is None or found.run.places[0]:
        return frozenset()
    counted: Counter[str] = Counter()
    runs = 0
    for conversation in conversations:
        runs += len({v for m in conversation.said if m.dir and (v := found.run.read(1, m.value)) is not None})
        counted.update(m.name for m in conversation.said if m.dir == 0)
    if not counted:
        return frozenset()
    nearest = min(counted, key=lambda name: (abs(counted[name] - runs), name))
    if abs(counted[nearest] - runs) <= 0.2 * runs:
        return frozenset({nearest})
    return frozenset(name for name, n in counted.items() if n >= 0.02 * runs)


def _labels(
    conversations: Sequence[Conversation], named: frozenset[Steps], found: Links
) -> dict[tuple[int, str], tuple[Steps, ...]]:
    """Return the fields that hold few words, each again and again, and on several connections."""
    counted: dict[tuple[int, str, Steps], Counter[str]] = defaultdict(Counter)
    spread: dict[tuple[int, str, Steps], dict[str, set[int]]] = defaultdict(dict)
    totals: Counter[tuple[int, str]] = Counter()
    linked = {
        (dir, steps) for link in (found.run, found.part) if link is not None
        for dir in (0, 1) for steps in link.places[dir]
    }  # fmt: skip
    for number, conversation in enumerate(conversations):
        for message in conversation.said:
            totals[message.dir, message.name] += 1
            for steps, word in links.ids(message.value):
                if not isinstance(word, str) or len(word) > 40 or steps in named or (message.dir, steps) in linked:
                    continue
                key = (message.dir, message.name, steps)
                words = counted[key]
                if len(words) <= 25:
                    words[word] += 1
                    places = spread[key].setdefault(word, set())
                    if len(places) < 3:
                        places.add(number)
    fitting: dict[tuple[int, str], list[tuple[int, int, Steps]]] = defaultdict(list)
    for (dir, name, steps), words in counted.items():
        n = sum(words.values())
        seldom = sum(1 for word in words if len(spread[dir, name, steps][word]) < min(2, len(conversations)))
        if (
            2 <= len(words) <= (KINDS if dir == 0 else 24) and n >= 0.9 * totals[dir, name] and n >= 6 * len(words)
            and not seldom and not any(looks_random(word) for word in words)
        ):  # fmt: skip
            fitting[dir, name].append((_rank(steps), len(words), steps))
    return {
        key: tuple(steps for _, _, steps in sorted(ones, key=lambda one: (one[0], one[1], str(one[2])))[:LABELS])
        for key, ones in fitting.items()
    }  # fmt: skip


def _rank(steps: Steps) -> int:
    last = str(steps[-1]).lower()
    good = ("name", "tool", "type", "kind", "op", "method", "action", "model", "agent", "topic", "channel", "command")
    return 0 if any(word in last for word in good) else 1


def _maps(conversations: Sequence[Conversation]) -> frozenset[tuple[str, Steps]]:
    """Return the objects whose keys are data: many of them, and each seldom, or like ids."""
    seen: dict[tuple[str, Steps], Counter[str]] = defaultdict(Counter)
    times: Counter[tuple[str, Steps]] = Counter()

    def look(name: str, value: Any, steps: Steps) -> None:
        if isinstance(value, dict):
            keys = seen[name, steps]
            times[name, steps] += 1
            for key, inner in value.items():
                if len(keys) < 2000:
                    keys[key] += 1
                if isinstance(inner, (dict, list)) and len(steps) < 8:
                    look(name, inner, (*steps, key))
        elif isinstance(value, list):
            for inner in value[:20]:
                if isinstance(inner, (dict, list)) and len(steps) < 8:
                    look(name, inner, (*steps, "[]"))

    for conversation in conversations:
        for message in conversation.said:
            look(message.name, message.value, ())
    found = set()
    for (name, steps), keys in seen.items():
        random = sum(looks_random(key) for key in keys)
        many = len(keys) >= KEYS and sum(keys.values()) < 0.2 * len(keys) * times[name, steps]
        if many or (random >= 3 and random >= 0.5 * len(keys)):
            found.add((name, steps))
    return frozenset(found)
