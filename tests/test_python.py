"""Invariants in Python: what they find, what their mistakes become, and that a contract runs no code by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from agents import EVENTS, Talk, judge, spelled, talk
from tapes import write

from goldentape.cli import main
from verifier.contract import Contract, read_contract
from verifier.lint import demand
from verifier.load import ContractError
from verifier.plugins import bring_code
from verifier.verdict import Outcome

HEAD = "from goldentape.plugin import *\n"
COUNTED = (
    HEAD
    + """
class Counted(Invariant):
    params_schema = {"type": "object", "properties": {"most": {"type": "integer"}}}
    per = ("run",)
    events = ("tool_executing", "agent_completed")

    def start(self, ctx):
        return {"refs": []}

    def step(self, state, event, ctx):
        if event.name == "tool_executing":
            state["refs"].append(event.ref)
        if event.name == "tool_executing" and len(state["refs"]) > ctx.params.get("most", 1):
            yield Violation(f"{len(state['refs'])} tools", witness=state["refs"])

    def end(self, state, ending, ctx):
        if not state["refs"]:
            return [Violation("no tool at all", witness=[], expected="a tool")]
"""
)


@pytest.fixture
def contract(tmp_path) -> Callable[..., Contract]:
    def contract(code: str, options: str = "", use: str = "mine:Counted", allow_code: bool = True) -> Contract:
        (tmp_path / "mine.py").write_text(code)
        text = f'{EVENTS}invariants:\n  it: {{kind: python, use: "{use}"{options}}}\n'
        read = read_contract(text.encode(), str(tmp_path / "c.yaml"))
        bring_code(read, allow_code=allow_code)
        demand(read)
        return read

    return contract


@pytest.fixture
def found(contract) -> Callable[..., Outcome]:
    def found(code: str, *sentences: str, options: str = "", **more) -> Outcome:
        talked = talk(*sentences, **more)
        return judge(contract(code, options), talked.tape).outcome("it")

    return found


RUN = ("alice > ask t1", "alice < agent_started t1 r1", "alice < tool_executing r1 c1", "alice < agent_completed r1")
TWO = (*RUN[:3], "alice < tool_executing r1 c2", RUN[3])
NONE = (*RUN[:2], RUN[3])


def why(outcome: Outcome) -> list[tuple[str, tuple[int, ...]]]:
    return [(v.why, v.seqs) for group in outcome.groups for v in group.first]


def seqs(talked: Talk, *places: int) -> tuple[int, ...]:
    return tuple(talked.seqs[place] for place in places)


def test_what_holds_is_judged_once_for_each_slice(found):
    other = [s.replace("alice", "bob").replace("r1", "r2") for s in RUN]

    outcome = found(COUNTED, *RUN, *other)

    assert (outcome.verdict, outcome.tally.activations) == ("pass", 2)


def test_a_violation_has_the_events_that_were_named_and_what_was_asked_of_them(contract):
    asking = COUNTED.replace(
        'state["refs"].append(event.ref)', 'state["refs"].append(event.ref); event.get("data.call_id")'
    )
    talked = talk(*TWO)

    outcome = judge(contract(asking), talked.tape).outcome("it")

    [(said, places)] = why(outcome)
    assert (said, places[-2:]) == ("2 tools", seqs(talked, 2, 3))
    [violation] = [v for group in outcome.groups for v in group.first]
    assert [w.fields for w in violation.witness if w.event == "tool_executing"] == [
        (("data.call_id", '"c1"'),), (("data.call_id", '"c2"'),)
    ]  # fmt: skip
    assert (violation.fault, dict(violation.slice)["run"]) == ("server", "r1")


ENDINGS = [
    ("at an exit it is violated", NONE, {}, "fail"),
    ("who left is owed nothing", (*RUN[:2], "alice > (close 1000)", "alice < (close 1000)", "alice ends"), {}, "pass"),
    ("cut off, nobody can tell", RUN[:2], {}, "inconclusive"),
    ("a hole may hide a tool", (*RUN[:2], 'mark gap {"from": 1, "why": "test"}', RUN[3]), {}, "inconclusive"),
    ("at_end of the contract counts", RUN[:2], {"options": ", at_end: {cut: violated}"}, "fail"),
]  # fmt: skip


@pytest.mark.parametrize("sentences, more, verdict", [pytest.param(*row[1:], id=row[0]) for row in ENDINGS])
def test_what_the_end_yields_is_owed_at_that_ending(found, sentences, more, verdict):
    listening = COUNTED.replace("events = (", 'events = ("agent_started", ')

    outcome = found(listening, *sentences, **more)

    assert outcome.verdict == verdict, (why(outcome), outcome.tally)


HOLE = (*TWO[:3], 'mark gap {"from": 1, "why": "test"}', *TWO[3:])


def test_a_hole_before_a_violation_makes_it_inconclusive_unless_it_is_proven(found):
    assert found(COUNTED, *HOLE).verdict == "inconclusive"
    assert found(COUNTED.replace("witness=state", "proven=True, witness=state"), *HOLE).verdict == "fail"


def test_two_messages_that_crossed_on_the_way_are_no_violation(found):
    code = (
        HEAD
        + """
class Counted(Invariant):
    events = ("stop", "tool_executing")
    def start(self, ctx):
        return [None]
    def step(self, state, event, ctx):
        if event.name == "stop":
            state[0] = event.ref
        elif state[0]:
            yield Violation("a tool after the stop", [state[0], event], because=state[0])
"""
    )
    outcome = found(code, *RUN[:2], "alice > stop r1", "alice < tool_executing r1")
    assert (outcome.verdict, outcome.tally.raced) == ("pass", 1)
    assert found(code, *RUN[:2], "alice > stop r1", "2s", "alice < tool_executing r1").verdict == "fail"


def test_a_function_judges_each_event_by_itself(contract):
    code = (
        HEAD
        + """
def named(event, ctx):
    if event.get("data.tool_name") not in ctx.params["known"]:
        yield Violation(f"{event.get('data.tool_name')} is no tool", [event])
"""
    )
    read = contract(code, ", events: [tool_executing], params: {known: [search]}", use="mine:named")

    assert judge(read, talk(*RUN).tape).outcome("it").verdict == "pass"
    talked = talk(*RUN[:2], "alice < tool_executing r1 data.tool_name=rm", *RUN[2:])
    assert why(judge(read, talked.tape).outcome("it")) == [("rm is no tool", seqs(talked, 2))]


def test_what_an_invariant_does_to_a_value_changes_nothing_for_others(found):
    code = COUNTED.replace("if event.name", 'event.get("data", {}).clear()\n        if event.name')

    assert found(code, *RUN, options=", where: {data.tool_name: {exists: true}}, min_activations: 0").verdict == "pass"


MISTAKES = [
    ("it raises", "yield 1 / 0",
     r"raised ZeroDivisionError: division by zero \(mine.py:12\), first by tool_executing at #"),
    ("no path", 'event.get("a..b")', "raised PathError: "),
    ("it ends the program", "raise SystemExit(3)", "raised SystemExit: 3"),
    ("no violation", "yield 'boo'", "yielded 'boo', which is no Violation"),
    ("no witness", "yield Violation('x', [])", "yielded a Violation without a witness|which is no event"),
    ("a foreign witness", "yield Violation('x', ['#7777'])", "'#7777', which is no event of the slice"),
    ("a witness that is no list", "yield Violation('x', event)", "whose witness is no list"),
    ("no such fault", "yield Violation('x', [event], fault='me')", "with the fault 'me'"),
    ("without end", "yield from (Violation('x', [event]) for _ in iter(int, 1))", "more than 1000 violations at once"),
    ("hostile text", r"raise ValueError('\x1b[31m\n::error::')", r"ValueError: \\x1b\[31m\\n::error::"),
]  # fmt: skip


@pytest.mark.parametrize("line, said", [pytest.param(*row[1:], id=row[0]) for row in MISTAKES])
def test_a_mistake_in_it_is_an_error_with_the_event_and_the_others_are_judged(found, line, said):
    code = COUNTED.replace(
        'if event.name == "tool_executing":',
        f'if event.user == "alice" and event.name[0] == "t": {line}\n        if event.name[0] == "t":',
    )
    if "without a witness" in said:
        code = code.replace('("run",)', '("connection",)')
    other = [s.replace("alice", "bob").replace("r1", "r2") for s in RUN]

    outcome = found(code, *RUN, *other)

    assert outcome.verdict == "error"
    [text] = outcome.tally.errors
    assert re.search(said, text), text
    assert "mine:Counted" in text and text.isprintable()
    assert outcome.tally.activations == 1


def test_an_end_that_gives_back_no_violations_is_an_error(found):
    outcome = found(
        COUNTED.replace("return [Violation", "return 3 or [Violation"), *NONE, options=", events: [agent_started]"
    )

    assert list(outcome.tally.errors) == [
        "mine:Counted raised TypeError: gave back a int, wanted violations, first by the end"
    ]


REFUSED = [
    ("syntax", "class Counted(:", {}, "36:22: ", "mine.py cannot be loaded: SyntaxError: invalid syntax (mine.py:1)"),
    ("it raises when loaded", "raise OSError('no')", {}, "36:22: ", "cannot be loaded: OSError: no (mine.py:1)"),
    ("no such name", COUNTED, {"use": "mine:Countet"}, "", "has no such name, found Countet: did you mean Counted?"),
    ("no such file", COUNTED, {"use": "nowhere:Counted"}, "", "nor a file nowhere.py, found nowhere:Counted"),
    ("no such entry point", COUNTED, {"use": "counted"}, "", "no installed entry point of `goldentape.invariants` has"),
    ("not allowed", COUNTED, {"allow_code": False}, "", "which is not run, found mine:Counted: add --allow-code"),
    ("no such event", COUNTED.replace("tool_exec", "tools_exec"), {}, "", "did you mean tool_executing?"),
    ("no event", COUNTED.replace("events =", "other ="), {}, "", "mine:Counted listens to no event"),
    ("no such slice", COUNTED.replace('("run"', '("runs"'), {}, "", "found runs: did you mean run?"),
    ("params", COUNTED, {"options": ", params: {most: many}"}, "36:52: ", "does not fit its params_schema"),
    ("params_schema", COUNTED.replace('"object"', '"objet"'), {}, "", "its params_schema is no schema"),
    ("no class", "Counted = 3", {}, "", "is neither a class nor a function"),
    ("not of its shape", "class Counted:\n    events = ('ask',)", {}, "", "is no invariant: AttributeError"),
    ("a function that is sliced", "def Counted(e, c): ...", {"options": ", per: run, events: [ask]"}, "",
     "write a class"),
]  # fmt: skip


@pytest.mark.parametrize("code, how, place, said", [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_what_cannot_be_used_is_refused_in_one_line_before_any_tape_is_opened(contract, code, how, place, said):
    with pytest.raises(ContractError) as refused:
        contract(code, **how)

    text = str(refused.value)
    assert said in text
    assert re.match(r"\S+c\.yaml:\d+:\d+: ", text) and place in text
    assert text.isprintable()


def test_code_in_a_file_is_run_only_where_that_is_allowed_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    Path("sub/c.yaml").write_text(
        'goldentape: 1\nplugins: [../mine.py]\ncontract: {id: x, version: "1.0.0"}\nwire: {type: type}\n'
        'events: {a: {}}\ninvariants: {x: {kind: python, use: "mine:f", events: [a]}}\n'
    )
    Path("mine.py").write_text("open('traces', 'a').close()\ndef f(event, ctx): ...\n")
    tape = write(Path("a.tape"), 'alice < {"type": "a"}')

    def run(*words: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main([*map(str, words)])
        return int(ended.value.code)

    assert run("verify", tape, "--contract", "sub/c.yaml") == 2
    assert "which is not run" in capsys.readouterr().err
    assert sorted(p.name for p in Path().rglob("*")) == ["a.tape", "c.yaml", "mine.py", "sub"]
    assert run("verify", tape, "--contract", "sub/c.yaml", "--allow-code") == 0
    assert sorted(p.name for p in Path().rglob("*")) == ["a.tape", "c.yaml", "mine.py", "sub", "traces"]


@pytest.mark.parametrize(
    "words", [("lint",), ("show",), ("selftest", "a.tape"), ("diff", "c.yaml")], ids=lambda w: w[0]
)
def test_the_other_commands_run_no_code_by_themselves_either(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("open('traces', 'a').close()\n" + COUNTED)
    invariant = '{kind: python, use: "mine:Counted", impact: none}'
    Path("c.yaml").write_text(f"{EVENTS}invariants: {{x: {invariant}}}\n")
    one, two = ["alice < agent_started t1 r1", "alice < tool_executing r1 c1"], ["alice < agent_completed r1"]
    write(Path("a.tape"), *map(spelled, one + two))

    def run(*more: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["contract", words[0], "c.yaml", *words[1:], *more])
        return int(ended.value.code), "".join(capsys.readouterr())

    code, said = run()
    assert (code in (1, 2), "add --allow-code" in said, Path("traces").exists()) == (True, True, False), said
    code, said = run("--allow-code")
    assert ("allow-code" in said, Path("traces").exists()) == (False, True), said
    assert code == 0, said


@pytest.mark.parametrize("use", ["counted", "shop.checks:Counted"])
def test_an_installed_entry_point_needs_no_flag(tmp_path, monkeypatch, contract, use):
    site = tmp_path / "site"
    (site / "shop").mkdir(parents=True)
    (site / "shop" / "__init__.py").touch()
    (site / "shop" / "checks.py").write_text(COUNTED)
    (site / "shop-1.0.dist-info").mkdir()
    (site / "shop-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    (site / "shop-1.0.dist-info" / "entry_points.txt").write_text(
        "[goldentape.invariants]\ncounted = shop.checks:Counted\n"
    )
    monkeypatch.syspath_prepend(site)

    read = contract("", use=use, allow_code=False)

    assert judge(read, talk(*TWO).tape).outcome("it").verdict == "fail"


# -- the test kit


KIT = [
    ("good", COUNTED, 0, ["ok    again: the same", "ok    by user: the same", "ok    saved: the same"]),
    ("state in the instance", COUNTED.replace('{"refs": []}', 'self.__dict__.setdefault("kept", {"refs": []})'), 1,
     ["FAIL  saved: tried: "]),
    ("state in a global",
     "KEPT = []\n" + COUNTED.replace("if event.name", "KEPT.append(1)\n        if len(KEPT) < 9 and event.name"), 1,
     ["FAIL  again: tried: "]),
    ("a state that JSON cannot hold", COUNTED.replace("[]", "set()").replace(".append", ".add"), 1,
     ["FAIL  saved: tried: error", "TypeError: Object of type set is not JSON serializable"]),
    ("an error", COUNTED.replace("if event.name", "1 / 0\n        if event.name"), 1, ["ERROR forward: tried: error"]),
    ("nothing to judge", COUNTED.replace('("tool_executing", "agent_completed")', '("agent_timeout",)'), 4,
     ["forward: tried: vacuous, 0 judged"]),
    ("per recording", COUNTED.replace('("run",)', '("recording",)'), 0,
     ["-     by user: not tried, for it is per: recording"]),
]  # fmt: skip


@pytest.mark.parametrize("code, exit, said", [pytest.param(*row[1:], id=row[0]) for row in KIT])
def test_the_kit_finds_what_does_not_judge_the_same_however_it_is_run(tmp_path, monkeypatch, capsys, code, exit, said):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(code)
    Path("c.yaml").write_text(EVENTS + "invariants: {other: {kind: never, event: agent_error}}\n")
    other = [s.replace("alice", "bob").replace("r1", "r2") for s in TWO]
    tape = talk(*TWO, *other, *[s.replace("r1", "r3") for s in RUN]).tape.path

    with pytest.raises(SystemExit) as ended:
        main(["plugin", "test", "mine:Counted", str(tape), "--contract", "c.yaml"])

    out = capsys.readouterr().out
    assert ended.value.code == exit, out
    for line in said:
        assert line in out
