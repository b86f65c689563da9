"""`--no-excerpts` of the fuzzer: no value of a message in a story, a report, a file or a progress line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from agents import spelled
from tapes import write

from verifier.exporters import REPORTS

VALUE = "hunter2"
"""Begins each value that must be nowhere."""
APP = """
import asyncio, json
said = {}
turn = 0
S = "hunter" + str(1 + 1)

async def app(scope, receive, send):
    global turn
    if scope["type"] != "websocket":
        return
    user = scope["path"].rpartition("/")[2]
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        turn += 1
        mine = turn
        said["last"] = json.loads(event["text"])["content"]
        await send({"type": "websocket.send", "text": json.dumps({"type": "thinking", "user": S + user})})
        await asyncio.sleep(0.01)
        if await WRONG(send, user, mine):
            return
        await send({"type": "websocket.send", "text": json.dumps({"type": "done", "for": S + "-of-" + user})})
"""
WRONG = {
    "leak": """
async def WRONG(send, user, mine):
    await send({"type": "websocket.send", "text": json.dumps({"type": "note", "of": said["last"] + S})})
""",
    "different": """
async def WRONG(send, user, mine):
    text = S + " is busy" if turn != mine else S + " is idle"
    await send({"type": "websocket.send", "text": json.dumps({"type": "note", "state": text})})
""",
    "exception": """
async def WRONG(send, user, mine):
    if turn != mine:
        raise RuntimeError(S + "\\n" + S + " in two lines")
""",
    "closed": """
async def WRONG(send, user, mine):
    if turn != mine:
        await send({"type": "websocket.close", "code": 1011, "reason": S})
        return True
""",
}
SEARCH = (
    "--schedules",
    25,
    "--failures",
    1,
    "--seed",
    1,
    "--certify",
    "0s",
    "--faults",
    "none",
    "--path",
    "/ws/{user}",
)
ALL = [word for report in REPORTS for word in ("--report", f"{report.kind}=report.{report.kind}")]


@pytest.fixture
def fuzz(tmp_path):
    """Runs `goldentape fuzz` in a directory; gives the exit code and all that was said."""

    def run(*arguments: object) -> tuple[int, str]:
        command = [sys.executable, "-m", "goldentape", "fuzz", *map(str, arguments)]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
        assert "Traceback" not in ended.stderr
        return ended.returncode, ended.stdout + ended.stderr

    run.home = tmp_path
    return run


def broken(fuzz, kind: str) -> None:
    (fuzz.home / "shop.py").write_text(APP + WRONG[kind])


@pytest.mark.parametrize("kind", WRONG)
def test_a_race_of_an_app_is_told_without_values(fuzz, kind):
    broken(fuzz, kind)

    plain, told = fuzz("app", "shop:app", *SEARCH), fuzz("app", "shop:app", *SEARCH, *ALL, "--no-excerpts")

    assert (plain[0], told[0]) == (1, 1)
    assert VALUE in plain[1], "else nothing was there to be withheld"
    texts = [told[1], *((fuzz.home / f"report.{report.kind}").read_text("utf-8") for report in REPORTS)]
    assert not [text for text in texts if VALUE in text]
    assert kind in told[1].lower() and "sends user_message" in told[1] and "receives thinking" in told[1]


def test_the_file_of_a_race_replays_and_tells_no_more_than_was_asked_for(fuzz):
    broken(fuzz, "leak")
    code, told = fuzz("app", "shop:app", *SEARCH, "--no-excerpts", "--json")
    repro = json.loads(told.splitlines()[-1])["failures"][0]["repro"]

    file = json.loads((fuzz.home / repro).read_text())
    assert code == 1 and VALUE not in json.dumps(file)
    assert "Tell me about" in json.dumps(file["workload"]), "what users send is needed to replay"
    assert "Tell me about" not in json.dumps(file["story"])

    code, told = fuzz("replay", repro, "--trace", "--no-excerpts")
    assert code == 1 and "2 of 2 replays are the same byte for byte" in told
    assert VALUE not in told and "FAILED: " in told and "receives note" in told
    assert VALUE in fuzz("replay", repro, "--trace")[1]

    broken(fuzz, "closed")
    code, told = fuzz("replay", repro, "--no-excerpts")
    assert VALUE not in told and (code, "CHANGED: " in told) == (4, True)


def test_the_end_state_of_a_consumer_is_withheld(fuzz):
    run = [
        "{0} > ask t{0}", "{0} < agent_started t{0} r{0}", "{0} < tool_executing t{0} r{0} c{0}",
        "{0} < tool_completed t{0} r{0} c{0}", "{0} < agent_completed t{0} r{0}",
    ]  # fmt: skip
    write(fuzz.home / "two.tape", *(spelled(line.format(user)) for user in ("alice", "bob") for line in run))
    (fuzz.home / "board.py").write_text(
        "def last(stream):\n    return ['hunter2'] + [i['user'] for i in stream][-1:]\n"
    )
    asked = ("tape", "two.tape", "--consumer", "board:last")

    plain, told = fuzz(*asked), fuzz(*asked, "--no-excerpts", *ALL)

    assert (plain[0], told[0]) == (1, 1) and VALUE in plain[1] and "DIFFERS" in told[1]
    assert VALUE not in told[1]
    for report in REPORTS:
        assert VALUE not in Path(fuzz.home, f"report.{report.kind}").read_text("utf-8"), report.kind
