"""From good recordings to a mined contract: the steps, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from goldentape.errors import InputError
from verifier.faults.draft import Draft
from verifier.faults.selftest import part_of
from verifier.mining.candidate import Candidate
from verifier.mining.language import suggestion
from verifier.mining.listen import Recording, listen
from verifier.mining.model import Model, understand
from verifier.mining.prune import uninformative, without_followers
from verifier.mining.skeleton import skeleton
from verifier.mining.templates import TEMPLATES
from verifier.mining.trial import RECORDINGS, Named, Tried, held_out, put_on_trial
from verifier.mining.vocabulary import getter, name_events, type_path
from verifier.paths import PathError

MOST = 300_000
"""Messages that are listened to in all; what comes after is tried, but suggests nothing."""
MUTATED = 200
"""Messages of the history to which faults are applied; more where already one user has more."""
LONGEST_LOG = 2_000
"""With longer logs nobody waits for that."""

Told = Callable[[str], None]
"""Hears what is being done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """What came out."""

    base: dict[str, Any]
    """The contract without invariants."""
    kept: tuple[Tried, ...]
    nearly: tuple[Tried, ...]
    tried: int
    """How many candidates there were."""
    followers: int
    """Kept ones that follow from others."""
    uninformative: int
    """Kept ones that find no fault which the others do not."""
    protocol: str | None
    """A regular expression of the span's events: a suggestion."""
    recordings: int
    messages: int
    users: int
    apart: int
    """Recordings that were held out."""
    cut: bool
    late_new: int | None
    """Invariants that only the last fifth of the recordings made certain; None: there are too few to say."""
    late_broken: int | None
    """Invariants of the others that the last fifth broke."""


def mine(
    recordings: Sequence[Named], sizes: Sequence[dict[str, int]], *, id: str, type: str | None, told: Told
) -> Mined:
    """Mine recordings, in the order of their time.  `sizes`: how many messages each user of each has.

    Raises InputError where no field says what the messages are.
    """
    told("listening")
    heard = [listen(name, source(None), MOST // len(recordings)) for name, source in recordings]
    path = _given(type) if type is not None else type_path(heard)
    apart = held_out(len(recordings))
    model, base, tried = _mined(heard, recordings, path, apart, id, told)
    protocol = suggestion(model)
    kept = [one for one in tried if one.kept]
    nearly = [one for one in tried if one.nearly]
    left = without_followers(kept)
    told("looking for what no fault needs")
    draft = _draft(recordings, sizes)
    idle = uninformative(base, left, draft) if left and draft is not None else set()
    informative = [one for one in left if one.candidate.name not in idle]
    told("asking what the last recordings have added")
    new, broken = _late(heard, recordings, path, id, {one.candidate.name for one in kept})
    return Mined(
        base=base, kept=tuple(informative), nearly=tuple(without_followers(nearly)), tried=len(tried),
        followers=len(kept) - len(left), uninformative=len(left) - len(informative),
        protocol=protocol, recordings=len(recordings), messages=sum(len(r.said) for r in heard),
        users=len({said.user for r in heard for said in r.said}), apart=len(apart), cut=any(r.cut for r in heard),
        late_new=new, late_broken=broken,
    )  # fmt: skip


def _given(path: str) -> str:
    """Return the path that the user named.  Raises InputError where it is none."""
    try:
        getter(path)
    except PathError as error:
        raise InputError(f"--type: {error}", found=path) from None
    return path


def _mined(
    heard: Sequence[Recording], recordings: Sequence[Named], path: str, apart: set[int], id: str, told: Told
) -> tuple[Model, dict[str, Any], list[Tried]]:
    mined = [recording for index, recording in enumerate(heard) if index not in apart]
    events = name_events(mined, path)
    if not events:
        raise InputError("no message has a word where it should say what it is", found=path)
    model = understand(path, events, mined)
    candidates = _named([c for template in TEMPLATES for c in template(model)])
    told(f"trying {len(candidates)} candidates")
    base = skeleton(model, id)
    return model, base, put_on_trial(base, model, candidates, recordings, apart)


def _named(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates under names of their own."""
    names: set[str] = set()
    found = []
    for candidate in candidates:
        name = candidate.name
        for n in count(2):
            if name not in names:
                break
            name = f"{candidate.name}-{n}"
        names.add(name)
        found.append(replace(candidate, name=name))
    return found


def _late(
    heard: Sequence[Recording], recordings: Sequence[Named], path: str, id: str, now: set[str]
) -> tuple[int | None, int | None]:
    """Return how many invariants the last fifth of the recordings added to those of the others, and broke of them."""
    last = max(1, len(recordings) // 5)
    early = len(recordings) - last
    if early < RECORDINGS:
        return None, None
    _, _, tried = _mined(heard, recordings, path, {*held_out(early), *range(early, len(heard))}, id, lambda _: None)
    before = {one.candidate.name for one in tried if one.grounded and not one.broken_in & set(range(early))}
    broken = {one.candidate.name for one in tried if one.candidate.name in before and one.broken_in}
    return len(now - before), len(broken)


def _draft(recordings: Sequence[Named], sizes: Sequence[dict[str, int]]) -> Draft | None:
    """Return the history of a few users of the recording that has most of them; None where all logs are too long."""
    index = max(range(len(recordings)), key=lambda i: (len(sizes[i]), -sum(sizes[i].values())))
    shortest = min((size for size in sizes[index].values() if size), default=0)
    if not 0 < shortest <= LONGEST_LOG:
        return None
    return part_of(recordings[index][1], sizes[index], max(MUTATED, shortest), 0)
