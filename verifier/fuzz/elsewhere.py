"""A run in which time also passes for reasons that are nobody's concern, as it does where others are served as well.

What a user alone sees then is no interference: a heartbeat more, a duration, `slow: true`.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any, Final

from verifier.fuzz.world import World

PAUSES: Final = ((0.001, 0.01, 0.05, 0.2), (0.3, 0.6, 0.9))
"""Virtual seconds, short ones in one run and long ones in the next; none longer than the window, in which latencies
end in any order."""
MANY: Final = 24


class Elsewhere(World):
    """A world in which somebody, of whom nothing is seen, waits again and again."""

    def __init__(self, *args: Any, seed: int, **options: Any) -> None:
        super().__init__(*args, **options)
        chance = random.Random(seed)
        self._pauses = [chance.choice(PAUSES[seed % 2]) for _ in range(MANY)]

    def start(self) -> bool:
        """Start the app; returns whether it has started."""
        started = super().start()
        if started:
            self.context.run(self.loop.create_task, _waiting(self._pauses))
        return started


async def _waiting(pauses: list[float]) -> None:
    for pause in pauses:
        await asyncio.sleep(pause)
