"""`goldentape verify` with recordings of users who were alone, and with what was no leak told."""

import json

import pytest
from contracts import contract
from tapes import write

from goldentape.cli import main

ISOLATION = contract(
    events="events: {ask: {dir: c2s}, done: {}}",
    invariants="invariants: {leak: {kind: taint}, alone: {kind: noninterference, baseline: {repeats: 2}}}",
)
MAIL = "erika.mustermann@example.org"


def ask(who, **fields):
    return f"{who} > {json.dumps({'type': 'ask', **fields})}"


def done(who, **fields):
    return f"{who} < {json.dumps({'type': 'done', **fields})}"


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "isolation.yaml").write_text(ISOLATION)

    def run(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["verify", "both.tape", "--contract", "isolation.yaml", *arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code), out, err

    return run


def test_what_the_server_tells_who_is_alone_is_no_secret(run, tmp_path):
    write(tmp_path / "both.tape", ask("alice", text=f"who is {MAIL}?"), done("bob", help=MAIL), ask("bob"), done("bob"))
    for name in ("one.tape", "two.tape"):
        write(tmp_path / name, done("carl", help=MAIL), ask("carl"), done("carl"))

    code, out, _ = run()
    assert (code, "er…rg" in out, MAIL in out) == (1, True, False)

    code, out, _ = run("--baseline", "one.tape", "--baseline", "two.tape", "--explain-suppressed")
    assert code == 0, out
    assert "leak  baseline: er…rg of alice from #" in out


def test_who_was_not_alone_is_no_baseline(run, tmp_path):
    write(tmp_path / "both.tape", ask("alice"), done("alice"))
    write(tmp_path / "crowd.tape", ask("bob"), ask("eve"), done("bob"), done("eve"))

    code, _, err = run("--baseline", "crowd.tape")

    assert code == 2
    assert err.count("\n") == 1
    assert "is no recording of users who were alone, found bob and eve at the same time" in err


def test_what_others_change_fails_and_without_a_baseline_it_is_not_applicable(run, tmp_path):
    write(tmp_path / "both.tape", ask("alice"), done("alice", place=2), ask("bob", text="x"), done("bob"))
    for name in ("one.tape", "two.tape"):
        write(tmp_path / name, ask("carl"), done("carl"))

    code, out, _ = run()
    assert code == 0, out
    assert "alone is not applicable: no recording of users who were alone was given" in out

    code, out, _ = run("--baseline", "one.tape", "--baseline", "two.tape")
    assert code == 1
    assert "alice saw with others what is not seen alone" in out
