"""Chance during a run: all that is random follows a seed, and it is known whether the app asked for it.

Ids (`uuid`, tokens) are made of a stream for each session, so that nobody's depend on what others do.  What `random`
draws is one stream for all, as in a real process: whoever draws changes what others draw next.
"""

from __future__ import annotations

import os
import random
import uuid
import weakref
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final

from verifier.fuzz.whose import SESSION

FEW: Final = 8
"""Bytes of which an id is not made: who asks for so few wants a number or a choice."""

_seed_of: list[int] = []
"""The seed of the run that is on."""
_entropy: dict[int, random.Random] = {}
"""What ids of each session are made of."""
_fixed: list[weakref.ref[random.Random]] = []
"""Generators that the app made for all its users, with a seed of its own."""
_asked: set[bool] = set()
"""True, once the app has asked for chance."""
_seeded = random.Random.seed


def begin(seed: int) -> None:
    """Begin a run in which everything random follows a seed."""
    _entropy.clear()
    _fixed.clear()
    _asked.clear()
    _seed_of.append(seed)
    random.seed(seed)


def end() -> bool:
    """End the run; return whether the app has asked for chance, be it in what it made for all its users."""
    _asked.update(_drawn(_seed_of.pop()))
    return bool(_asked)


def stir() -> None:
    """Make what users draw another chance where the run has another seed than 0, once the app has started.

    An app that seeds its generator itself makes the same data each time it starts; whose turn it is to draw from that
    depends on who comes when, as if it had no seed.
    """
    seed = _seed_of[-1]
    if not seed:
        return
    for n, made in enumerate(_fixed):
        generator = made()
        if generator is not None:
            _seeded(generator, f"{seed}/{n}")
    _asked.update(_drawn(seed))
    random.seed(seed)


@lru_cache(1024)
def _first(seed: int) -> float:
    """Return what `random` draws first."""
    return _generator(seed).random()


def _drawn(seed: int) -> Iterator[bool]:
    """Yield `True` where `random` is not as it was seeded any more; it is not afterwards."""
    if random.random() != _first(seed):
        yield True


def _generator(seed: int | str) -> random.Random:
    """Return a generator of ours, of which no note is taken."""
    made = random.Random.__new__(random.Random)
    _seeded(made, seed)
    return made


def patches() -> list[tuple[Any, str, Any]]:
    """Return what stands where during a run."""
    found: list[tuple[Any, str, Any]] = [
        (os, "urandom", _urandom), (uuid, "uuid1", _uuid1), (random.Random, "seed", _seed)
    ]  # fmt: skip
    if hasattr(random, "_urandom"):  # where SystemRandom, and with it `secrets`, gets its bytes
        found.append((random, "_urandom", _urandom))
    return found


def _urandom(size: int, _real: Callable[[int], bytes] = os.urandom) -> bytes:
    if not _seed_of:
        return _real(size)
    if size < FEW:
        _asked.add(True)
    session = SESSION.get()
    stream = _entropy.get(session)
    if stream is None:
        stream = _entropy[session] = _generator(f"{_seed_of[-1]}/{session}")
    return stream.randbytes(size)


def _uuid1(node: int | None = None, clock_seq: int | None = None, _real: Any = uuid.uuid1) -> uuid.UUID:
    return uuid.UUID(bytes=_urandom(16), version=1) if _seed_of else _real(node, clock_seq)


def _seed(self: random.Random, a: Any = None, version: int = 2) -> None:
    if _seed_of and type(self) is random.Random:
        if a is None:
            _asked.add(True)
            a = int.from_bytes(_urandom(16), "big")
        elif not SESSION.get():
            _asked.add(True)
            _fixed.append(weakref.ref(self))
    _seeded(self, a, version)
