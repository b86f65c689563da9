"""`--report KIND=FILE`: what each kind says, what no recorded text can do to it, and what becomes of the file."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from contracts import contract
from hostile import CONTRACT, HOSTILE, hostile_tape
from markdown_it import MarkdownIt
from referencing import Registry, Resource
from tapes import write

from goldentape.cli import main
from goldentape.display import show
from goldentape.errors import Exit
from verifier.exporters import REPORTS
from verifier.exporters.github import MOST, command
from verifier.judgement import Judgement, Unjudged

ASK, DONE, RUDE = 'alice > {"type": "ask"}', 'alice < {"type": "done"}', 'alice < {"type": "rude"}'
HELD = (ASK, DONE, "alice > (close 1000)", "alice < (close 1000)")
EVENTS = "events: {ask: {dir: c2s}, done: {}, rude: {}}"
CALM = contract("{kind: never, event: rude}", events=EVENTS)
OPEN = contract("{kind: responds, trigger: ask, answer: done, within: 5s}", events=EVENTS)
TEXT = [report.kind for report in REPORTS if report.kind != "html"]
SARIF = json.loads(Path(__file__).parent.joinpath("third-party", "sarif-2.1.0-rtm.5.json").read_text("utf-8"))


def _schemas() -> jsonschema.Draft202012Validator:
    home = files("goldentape.schemas")
    read = {n: json.loads(home.joinpath(n).read_text("utf-8")) for n in ("report.schema.json", "verdict.schema.json")}
    registry = Registry().with_resources((name, Resource.from_contents(schema)) for name, schema in read.items())
    return jsonschema.Draft202012Validator(read["report.schema.json"], registry=registry)


LINE = _schemas()


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run `verify` in a directory of its own, outside any CI; return (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)
    Path("calm.yaml").write_text(CALM)
    Path("open.yaml").write_text(OPEN)
    write(Path("good.tape"), *HELD)
    write(Path("bad.tape"), ASK, RUDE)

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["verify", *map(str, arguments)])
        out, err = capsys.readouterr()
        return int(ended.value.code), out, err

    return run


def cases(path: str) -> dict[str, ET.Element]:
    return {f"{case.get('classname')}:{case.get('name')}": case for case in ET.parse(path).iter("testcase")}


def result(path: str) -> dict:
    sarif = json.loads(Path(path).read_text())
    jsonschema.Draft4Validator(SARIF).validate(sarif)
    return sarif["runs"][0]


# -- the files


def test_a_report_changes_neither_stdout_nor_the_exit_code(run):
    bare = run("bad.tape", "good.tape", "--contract", "calm.yaml")

    options = [word for kind in TEXT for word in ("--report", f"{kind}=out.{kind}")]
    assert run("bad.tape", "good.tape", "--contract", "calm.yaml", *options) == bare
    assert bare[0] == 1
    assert all(Path(f"out.{kind}").stat().st_size > 0 for kind in TEXT)
    assert not list(Path().glob(".*"))


@pytest.mark.parametrize("kind", TEXT)
def test_a_report_on_stdout_has_it_alone(run, kind):
    code, out, err = run("bad.tape", "--contract", "calm.yaml", "--report", f"{kind}=-", "--report", "json=same.json")
    run("bad.tape", "--contract", "calm.yaml", "--report", f"{kind}=file")

    assert code == 1
    assert out == Path("file").read_text()
    assert "fail: 1 distinct violation" in err


REFUSED = [
    ("junti=x", 2, "did you mean junit?"),
    ("junit", 2, "junit=FILE"),
    ("sarif=", 2, "sarif=FILE"),
    ("=x", 2, "there are junit"),
    ("junit=no/such/directory/x.xml", 3, "the directory does not exist"),
    ("junit=.", 3, "is a directory"),
    ("junit=bad.tape", 2, "write over it"),
    ("junit=calm.yaml", 2, "write over it"),
    ("junit=good.tape", 2, "write over it"),
]


@pytest.mark.parametrize("asked, code, what", REFUSED)
def test_what_cannot_be_written_is_refused_in_one_line_before_anything_is_judged(run, asked, code, what):
    before = {path: path.read_bytes() for path in Path().iterdir()}

    found = run("bad.tape", "--contract", "calm.yaml", "--report", asked)

    assert (found[0], found[1]) == (code, "")
    [line] = found[2].splitlines()
    assert line.startswith("goldentape: error: ")
    assert what in line
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_two_reports_cannot_share_a_file_or_stdout(run):
    for one, two in (("junit=x", "sarif=./x"), ("junit=-", "sarif=-")):
        code, _, err = run("bad.tape", "--contract", "calm.yaml", "--report", one, "--report", two)
        assert (code, len(err.splitlines())) == (2, 1)


def test_a_report_that_is_there_is_replaced_whole_and_a_link_stays_a_link(run):
    Path("real.xml").write_text("x" * 100_000)
    Path("link.xml").symlink_to("real.xml")

    run("bad.tape", "--contract", "calm.yaml", "--report", "junit=link.xml")

    assert Path("link.xml").is_symlink()
    assert cases("real.xml")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_ends_in_one_line_and_the_other_reports_are_there(run):
    code, out, err = run("bad.tape", "--contract", "calm.yaml", "--report", "junit=/dev/full", "--report", "json=x")

    assert (code, len(err.splitlines())) == (3, 1)
    assert "No space left" in err
    assert "fail: " in out
    assert Path("x").read_text()


def test_a_tape_without_a_verdict_is_in_every_report(run):
    Path("no.tape").write_bytes(b"no tape")
    for tapes in (("good.tape", "no.tape"), ("no.tape",)):
        options = [word for kind in TEXT for word in ("--report", f"{kind}=out.{kind}")]
        code, _, _ = run(*tapes, "--contract", "calm.yaml", *options)

        assert code == 2
        assert all("no.tape" in Path(f"out.{kind}").read_text() for kind in TEXT)
        [error] = ET.parse("out.junit").iter("error")
        assert "no.tape" in error.get("message")
        assert result("out.sarif")["invocations"][0]["executionSuccessful"] is False


# -- what they say


def test_junit_has_a_case_for_each_tape_and_invariant(run):
    code, _, _ = run(
        "bad.tape", "good.tape", "--contract", "calm.yaml", "--contract", "open.yaml", "--report", "junit=x"
    )

    found = cases("x")
    assert code == 1
    assert {name.split(".", 1)[1]: [kind.tag for kind in case] for name, case in found.items() if ":a" in name} == {
        "bad.tape:a": ["skipped"],
        "good.tape:a": [],
    }  # both contracts are called x: the later one stands here
    [failure] = ET.parse("x").iter("failure")
    assert failure.get("type") == "never"
    assert "rude must never occur" in failure.get("message")
    assert "#" in failure.text
    case = next(case for case in ET.parse("x").iter("testcase") if case.find("failure") is not None)
    assert (case.get("file"), case.get("line")) == ("calm.yaml", "9")
    root = ET.parse("x").getroot()
    assert int(root.get("failures")) == 1
    assert int(root.get("tests")) == len(list(root.iter("testcase")))


def test_what_is_a_failure_in_junit_is_what_the_exit_code_says(run):
    def kinds(*options: str) -> tuple[int, set[str]]:
        code, _, _ = run(*options, "--report", "junit=x")
        return code, {child.tag for case in cases("x").values() for child in case}

    Path("warn.yaml").write_text(CALM.replace("event: rude", "event: rude, severity: warning"))
    assert kinds("bad.tape", "--contract", "open.yaml") == (4, {"skipped"})
    assert kinds("bad.tape", "--contract", "open.yaml", "--strict") == (1, {"failure"})
    assert kinds("bad.tape", "--contract", "open.yaml", "--fail-on", "inconclusive") == (1, {"failure"})
    assert kinds("bad.tape", "--contract", "warn.yaml") == (0, {"system-out"})
    assert kinds("bad.tape", "--contract", "warn.yaml", "--fail-on", "warning") == (1, {"failure"})
    assert kinds("bad.tape", "--contract", "calm.yaml", "--fail-on", "never") == (0, {"system-out"})
    assert kinds("bad.tape", "--contract", "calm.yaml", "--expect-fail", "a")[0] == 0
    assert "failure" not in kinds("bad.tape", "--contract", "calm.yaml", "--expect-fail", "a")[1]
    assert kinds("good.tape", "--contract", "calm.yaml", "--expect-fail", "a") == (1, {"failure"})


def test_sarif_points_at_the_contracts_line_and_knows_a_violation_again(run, tmp_path, monkeypatch):
    write(Path("worse.tape"), ASK, ASK, RUDE, RUDE)
    run("bad.tape", "worse.tape", "--contract", "calm.yaml", "--report", "sarif=x")

    [found] = result("x")["results"]  # one cause, however often it was seen
    place = found["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "calm.yaml", "uriBaseId": "%SRCROOT%"}
    assert place["region"]["startLine"] == 9
    assert (found["level"], found["occurrenceCount"]) == ("error", 3)
    assert found["properties"]["tapes"] == ["bad.tape", "worse.tape"]
    hash = found["partialFingerprints"]["primaryLocationLineHash"]

    Path("calm.yaml").write_text("\n\n" + CALM)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path.parent))
    run("bad.tape", "--contract", "calm.yaml", "--report", "sarif=x")
    [again] = result("x")["results"]
    assert again["partialFingerprints"]["primaryLocationLineHash"] == hash
    place = again["locations"][0]["physicalLocation"]
    assert place["region"]["startLine"] == 11
    assert place["artifactLocation"]["uri"] == f"{tmp_path.name}/calm.yaml"


def test_sarif_keeps_githubs_limits_and_says_what_it_left_out(run):
    words = "abcdefghijklmnopqrst"
    kinds = [a + b + c for a in words for b in words for c in words][:5200]
    write(Path("many.tape"), *(f'u{n % 7} < {{"type": "t{kind}"}}' for n, kind in enumerate(kinds)))
    Path("strict.yaml").write_text(contract(wire="wire: {format: json, type: type, unknown: violation}"))

    run("many.tape", "--contract", "strict.yaml", "--quiet", "--report", "sarif=x", "--report", "json=y")

    found = result("x")
    told = found["invocations"][0]["toolExecutionNotifications"]
    [line] = [json.loads(line) for line in Path("y").read_text().splitlines()]
    distinct = sum(len(one["violations"]) for one in line["invariants"])
    assert len(found["results"]) == min(distinct, 5000)
    assert any("had no room" in note["message"]["text"] for note in told) is (distinct > 5000)
    assert distinct > 5000
    assert Path("x").stat().st_size < 10 << 20


def test_json_is_what_json_prints_and_fits_its_schema(run):
    _, out, _ = run("bad.tape", "good.tape", "--contract", "calm.yaml", "--json", "--report", "json=x")

    assert Path("x").read_text() == out
    Path("no.tape").write_bytes(b"")
    run("bad.tape", "no.tape", "--contract", "calm.yaml", "--report", "json=x")
    lines = [json.loads(line) for line in Path("x").read_text().splitlines()]
    for line in lines:
        LINE.validate(line)
    assert [line.get("verdict", line.get("error", {}).get("exit")) for line in lines] == ["fail", 2]
    for bad in ({}, {"error": 1}, {**lines[0], "more": 1}, {**lines[1], "more": 1}):
        assert not LINE.is_valid(bad)


@pytest.mark.parametrize("kind", TEXT)
def test_without_excerpts_no_report_has_a_value_of_a_message(run, kind):
    Path("mine.yaml").write_text(contract("{kind: unique, event: done, key: run}", events=EVENTS))
    write(Path("secret.tape"), ASK, *(['alice < {"type": "done", "run_id": "hunter2"}'] * 2))

    run("secret.tape", "--contract", "mine.yaml", "--no-excerpts", "--report", f"{kind}=x")

    shown = run("secret.tape", "--contract", "mine.yaml", "--no-excerpts")[1]
    assert ("hunter2" in Path("x").read_text()) <= ("hunter2" in shown)


# -- GitHub Actions


@pytest.mark.parametrize(
    "text, message, value",
    [
        # The cases of actions/toolkit, packages/core/__tests__/command.test.ts and core.test.ts
        ("%25 percent % percent %", "%2525 percent %25 percent %25", "%2525 percent %25 percent %25"),
        ("\r return \r return \r", "%0D return %0D return %0D", "%0D return %0D return %0D"),
        ("\n new line \n new line \n", "%0A new line %0A new line %0A", "%0A new line %0A new line %0A"),
        ("this:is,a:value", "this:is,a:value", "this%3Ais%2Ca%3Avalue"),
        ("::error::x", "::error::x", "%3A%3Aerror%3A%3Ax"),
    ],
)
def test_commands_are_escaped_as_the_toolkit_does_it(text, message, value):
    assert command("error", text, title=text) == f"::error title={value}::{message}"


def test_annotations_are_on_by_themselves_in_actions(run, monkeypatch):
    _, bare, _ = run("bad.tape", "--contract", "calm.yaml")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    Path("summary.md").write_text("before\n")

    code, out, err = run("bad.tape", "--contract", "calm.yaml")

    assert (code, err) == (1, "")
    assert out.startswith(bare)
    annotations = out.removeprefix(bare).splitlines()
    assert annotations[0].startswith("::error file=calm.yaml,line=9,title=a%3A never::rude must never occur")
    assert annotations[-1].startswith("::notice ")
    summary = Path("summary.md").read_text()
    assert summary.startswith("before\n### ❌ goldentape verify: 1 distinct violation")

    _, out, err = run("bad.tape", "--contract", "calm.yaml", "--json")
    assert len(out.splitlines()) == 1
    assert "::error" in err
    assert run("bad.tape", "--contract", "calm.yaml", "--quiet") == (1, "", "")
    _, out, err = run("bad.tape", "--contract", "calm.yaml", "--report", "github=x")
    assert "::" not in out + err
    assert Path("x").read_text().splitlines() == annotations
    code, out, err = run("missing.tape", "--contract", "calm.yaml")
    assert (code, out.splitlines()[0]) == (2, "::error title=goldentape%3A no verdict::missing.tape: no such tape")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "no/such/place")
    code, _, err = run("bad.tape", "--contract", "calm.yaml")
    assert (code, len(err.splitlines())) == (1, 1)


def test_more_than_ten_annotations_of_a_level_are_told_in_the_tenth(run):
    events = "events: {" + ", ".join(f"e{n}: {{}}" for n in range(14)) + "}"
    names = "invariants:\n" + "".join(f"  i{n}: {{kind: never, event: e{n}}}\n" for n in range(14))
    Path("many.yaml").write_text(contract(events=events, spans="spans: {}", invariants=names))
    write(Path("many.tape"), *(f'alice < {{"type": "e{n}"}}' for n in range(14)))

    run("many.tape", "--contract", "many.yaml", "--report", "github=x")

    errors = [line for line in Path("x").read_text().splitlines() if line.startswith("::error")]
    assert len(errors) == MOST
    assert "and 5 more errors" in errors[-1]


# -- hostile text


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """Reports of every kind on a tape of hostile texts."""
    home = tmp_path_factory.mktemp("hostile")
    hostile_tape(home / "a.tape")
    (home / "c.yaml").write_text(CONTRACT)
    words = [word for kind in TEXT for word in ("--report", f"{kind}=out.{kind}")]
    found = subprocess.run(
        [sys.executable, "-m", "goldentape", "verify", "a.tape", "--contract", "c.yaml", "--quiet", *words],
        cwd=home, capture_output=True, check=False, env={**os.environ, "GITHUB_STEP_SUMMARY": "summary.md"},
    )  # fmt: skip
    assert (found.returncode, found.stdout, found.stderr) == (1, b"", b"")
    return home


def test_junit_is_well_formed_whatever_was_recorded(hostile):
    assert len(cases(str(hostile / "out.junit"))) >= 3
    if shutil.which("xmllint") is None:
        pytest.skip("without xmllint: only expat has read it")
    said = subprocess.run(["xmllint", "--noout", hostile / "out.junit"], capture_output=True, check=False)
    assert (said.returncode, said.stderr) == (0, b"")


def test_sarif_and_json_are_valid_whatever_was_recorded(hostile):
    assert result(str(hostile / "out.sarif"))["results"]
    lines = (hostile / "out.json").read_text().split("\n")
    for line in lines[:-1]:
        LINE.validate(json.loads(line))
    assert lines[-1] == ""


def test_no_recorded_text_is_a_command_of_a_ci(hostile):
    lines = (hostile / "out.github").read_text().split("\n")
    assert all(re.match(r"::(error|warning|notice) [a-z]+=", line) for line in lines[:-1])
    assert len(lines) <= 3 * MOST + 1
    for kind in TEXT:
        text = (hostile / f"out.{kind}").read_text()
        assert not re.search(r"##(vso)?\[", text) or kind == "json"
        if kind not in ("github", "json"):
            assert not any(line.lstrip().startswith("::") for line in text.splitlines())


def test_recorded_text_is_in_markdown_as_code_only(hostile):
    for name in ("out.markdown", "summary.md"):
        text = (hostile / name).read_text()
        assert len(text) < 1 << 20
        bare = re.sub(r"^(`{3,})text\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
        bare = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", bare)
        bare = re.sub(r"<code>[^<]*</code>", "", bare)
        assert set(re.findall(r"</?[a-zA-Z]+", bare)) <= {"<details", "</details", "<summary", "</summary"}
        assert "@" not in bare
        assert "](" not in bare
    assert len((hostile / "out.markdown").read_text()) < 65_536


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag, *(name for name, _ in attrs)}


def test_markdown_renders_to_nothing_but_what_we_wrote(hostile):
    for name in ("out.markdown", "summary.md"):
        tags = _Tags()
        tags.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render((hostile / name).read_text()))
        assert tags.seen <= {
            "h3", "table", "thead", "tbody", "tr", "th", "td", "style", "p", "pre", "code", "class", "details", "open",
            "summary", "em",
        }  # fmt: skip


def test_what_is_shown_is_no_command_of_a_ci_wherever_in_a_line_it_stands():
    assert show("x ##[error]y ##vso[a]") == r"x ##\x5berror]y ##vso\x5ba]"
    assert show("## a #[b] ##(c)") == "## a #[b] ##(c)"


def test_every_kind_can_tell_of_nothing():
    empty = Judgement(command="fuzz", exit=Exit.ENVIRONMENT)
    lost = Judgement(command="fuzz", exit=Exit.BAD_INPUT, unjudged=[Unjudged(tape=None, why="x", exit=Exit.BAD_INPUT)])
    for report in REPORTS:
        assert isinstance("".join(report.pieces(empty)), str)
        assert "x" in "".join(report.pieces(lost))


assert len(HOSTILE) >= 100
