"""Pages of tapes, as tests of the HTML report look at them."""

from __future__ import annotations

from pathlib import Path

import pytest
from contracts import contract
from hostile import CONTRACT, hostile_tape
from tapes import write

from goldentape.cli import main


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code)


def talk(*people: str, broken: str = "bob") -> list[str]:
    said = [f"{who} connects /chat" for who in people]
    for who in people:
        said.append(f'{who} > {{"type": "ask", "thread_id": "t-{who}", "text": "hello from {who}"}}')
        for number, name in enumerate(("started", "thought", "tool", "tool_done", "done")):
            if who != broken or name != "tool_done":
                said.append(
                    f'{who} < {{"type": "{name}", "run_id": "r-{who}", "big": 12345678901234567890, "n": {number}}}'
                )
        said += [f"{who} > (close 1000)", f"{who} < (close 1000)"]
    return said


AGENTS = contract(
    events="events: {ask: {dir: c2s}, started: {}, thought: {}, tool: {}, tool_done: {}, done: {}}",
    spans="spans: {run: {open: started, key: run, exits: {ok: done}}}",
    invariants="""invariants:
  tools: {kind: pair, scope: run, open: tool, close: tool_done, key: run}
  calm: {kind: never, event: thought, severity: warning}
""",
)


def make(home: Path) -> Path:
    """Write tapes and, by the command, their pages."""
    (home / "agents.yaml").write_text(AGENTS)
    (home / "hostile.yaml").write_text(CONTRACT)
    write(home / "talk.tape", *talk("alice", "bob", "chloe"))
    write(home / "good.tape", *talk("dora", broken=""))
    hostile_tape(home / "hostile.tape")
    assert run("report", home / "talk.tape", "-o", home / "talk.html", "--contract", home / "agents.yaml") == 0
    assert run("report", home / "talk.tape", "-o", home / "plain.html") == 0
    assert run("report", home / "talk.tape", home / "good.tape", "-o", home / "two.html", "--contract",
               home / "agents.yaml", "--contract", home / "hostile.yaml") == 0  # fmt: skip
    assert run("report", home / "hostile.tape", "-o", home / "hostile.html", "--contract", home / "hostile.yaml") == 0
    return home
