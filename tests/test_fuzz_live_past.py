"""`fuzz live` on servers that come to an end little by little, or are divided: small, but never rarer.

Only what is confirmed counts: a silence that a stall of the machine showed once is told as seen.
"""

from __future__ import annotations

from hunts import HEAD, hunt, searched
from hypothesis import given
from hypothesis import strategies as st
from live_servers import Serving, free_port, uvicorn

from verifier.fuzz.failure import Kind
from verifier.fuzz.live.pace import FULLY, SURELY, Pace, longest_gap, silent
from verifier.fuzz.live.past import PLACES
from verifier.fuzz.live.telling import history
from verifier.fuzz.schedule import SERIAL
from verifier.fuzz.script import Drop
from verifier.fuzz.seen import Ended, Moment, Run, What

STARVED = """
class Pool:
    places = 3

pool = Pool()

async def answer(user, said, say):
    mine = pool
    await say("started")
    while not mine.places:
        await asyncio.sleep(0.005)
    mine.places -= 1
    await asyncio.sleep(0.03)
    await say("done", of=said)  # raises where the client has left, and the place is not given back
    mine.places += 1

def reset():
    global pool
    pool = Pool()
"""


def test_places_that_are_lost_one_by_one_are_found_on_a_fresh_server_too(tmp_path):
    (tmp_path / "app.py").write_text(HEAD + STARVED)
    port = free_port()
    with Serving(uvicorn(port, "app:app", tmp_path), port, tmp_path):
        found, _ = searched(port, tmp_path, tries=60, confirm=3, faults=("drop",), patience=0.3, reset=True)

    [caught] = found.confirmed
    assert caught.is_confirmed and caught.failure.kind is Kind.DEADLOCK and caught.depends_on_history
    assert 2 <= len(caught.history) <= PLACES
    [kind] = {one.workload for one in caught.history}
    assert any(isinstance(action, Drop) for session in kind.sessions for action in session.script)
    assert "1 drop" in history(caught)


STUCK = """
at_work = 0
stuck = False

async def answer(user, said, say):
    global at_work, stuck
    at_work += 1
    stuck = stuck or at_work > 1
    await asyncio.sleep(0.02)
    at_work -= 1
    if not stuck:
        await say("done", of=said)
"""


def test_of_a_broken_server_that_nobody_restarts_it_is_not_said_that_no_concurrency_is_needed(tmp_path):
    (tmp_path / "app.py").write_text(HEAD + STUCK)
    port = free_port()
    with Serving(uvicorn(port, "app:app", tmp_path), port, tmp_path):
        found, _ = searched(port, tmp_path, tries=20, confirm=2, patience=0.2)

    [caught] = found.confirmed
    assert caught.is_confirmed and caught.broken and not caught.alone
    assert "answers nobody any more" in history(caught) and "was answered at first and is not any more" in " ".join(
        found.notes
    )


DIVIDED = """
import zlib
shelves = ["", ""]

async def answer(user, said, say):
    worker = zlib.crc32(user.encode()) % 2
    shelves[worker] = said
    await say("started")
    await asyncio.sleep(0.02)
    await say("done", of=shelves[worker])
"""


def test_what_is_rarer_among_two_is_told_of_the_fewest_among_whom_it_is_not(tmp_path):
    found, _ = hunt(tmp_path, DIVIDED, tries=20, users=6, messages=1, confirm=8)

    [caught] = found.confirmed
    assert caught.is_confirmed and caught.failure.kind is Kind.LEAK
    # Two of three users always meet in one of the two workers; two users meet in half of the plays.
    assert caught.confirmed.share >= caught.before.share and len(caught.workload.users) <= 4


@given(st.floats(0.1, 20), st.integers(0, 10), st.floats(0, 10))
def test_silence_is_waited_for_in_full_until_it_is_known_that_nothing_comes_late(patience, fully, slowest):
    told = silent(Pace(patience=patience, sure=SURELY), fully, slowest)

    in_full = fully < FULLY or slowest > patience
    assert told.patience == (max(4 * patience, SURELY) if in_full else patience) and told.sure == 0.0


def test_what_comes_after_a_client_has_left_is_no_answer_that_came_late():
    said = [(0, "c2s", What.MESSAGE), (1, "s2c", What.MESSAGE), (9, "c2s", What.END), (9.5, "s2c", What.CLOSE)]
    moments = tuple(Moment(n, "bob", int(at * 1e9), dir_, what) for n, (at, dir_, what) in enumerate(said))

    assert longest_gap(Run(moments, SERIAL, (), ("bob",), 0, Ended.DEADLOCK)) == 1.0
