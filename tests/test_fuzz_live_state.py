"""`fuzz live` on servers that remember, and on such as do not always answer."""

from __future__ import annotations

from hunts import HEAD, hunt, searched
from live_servers import Serving, free_port, uvicorn

from verifier.fuzz.failure import Kind

LATER = """
asked, last = [], ""

async def answer(user, said, say):
    global last
    asked.append(user)
    if len(set(asked)) > {n} and user != asked[-2]:
        await say("note", of=last)
    last = said
    await say("done", of=said)

def reset():
    asked.clear()
"""


def test_what_needs_other_plays_before_it_is_told_with_the_fewest_of_them(tmp_path):
    found, stage = hunt(tmp_path, LATER.format(n=14), tries=12, confirm=2)

    [caught] = found.confirmed
    assert caught.is_confirmed and caught.depends_on_history and 1 <= len(caught.history) < 14
    assert stage.restarts > 3


def test_a_reset_address_makes_the_state_fresh(tmp_path):
    (tmp_path / "app.py").write_text(HEAD + LATER.format(n=14))
    port = free_port()
    with Serving(uvicorn(port, "app:app", tmp_path), port, tmp_path):
        found, stage = searched(port, tmp_path, tries=12, confirm=2, reset=True)

    assert stage.restarts > 3 and stage.server.starts == 0
    [caught] = found.confirmed
    assert caught.is_confirmed and caught.depends_on_history


def test_with_a_fresh_server_for_each_play_nothing_is_left_behind(tmp_path):
    found, stage = hunt(tmp_path, LATER.format(n=4), tries=3, restart="always")

    assert found.confirmed == [] and stage.restarts == stage.plays


RARELY = """
answers = 0

async def answer(user, said, say):
    global answers
    answers += 1
    mine = answers
    await say("started", of=said)
    if mine % 9:  # whoever asks
        await say("done", of=said)
"""


def test_who_is_not_always_answered_alone_is_not_said_to_need_others(tmp_path):
    found, _ = hunt(tmp_path, RARELY, tries=8, users=2, messages=2, confirm=3, patience=0.2)

    assert found.caught, "the silence was not seen"
    for caught in found.caught:
        assert caught.failure.kind is Kind.DEADLOCK and (caught.alone or not caught.is_confirmed)
