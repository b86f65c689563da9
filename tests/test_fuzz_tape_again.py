"""`fuzz tape`: what was found is saved, replays in another process and as a test, and outlives Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import msgpack
import pytest
from agents import spelled, talk
from tapes import write
from test_fixtures import GOOD, name, told
from test_fuzz_tape import LOCK, YAML, run_of

from verifier.contract import read_contract
from verifier.fuzz.offline.run import fuzz_tape
from verifier.history import Source

TWO = [*map(spelled, [*run_of("alice", 1), *run_of("bob", 2)])]


@pytest.fixture
def there(tmp_path):
    """A directory with a tape of two users, a contract that another order of it breaks, and its repro file."""
    write(tmp_path / "two.tape", *TWO)
    (tmp_path / "lock.yaml").write_text(YAML)
    found = goldentape(tmp_path, "fuzz", "tape", "two.tape", "--contract", "lock.yaml")
    assert found.returncode == 4, found
    return tmp_path


def goldentape(cwd, *arguments: str, program=("-m", "goldentape")) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *program, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)


def repro_in(path):
    [file] = (path / ".goldentape").glob("*.json")
    return file


def replay(path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return goldentape(path, "fuzz", "replay", str(repro_in(path)), *arguments)


def test_what_was_found_fails_again_in_another_process(there):
    again = replay(there)

    assert again.returncode == 1, again
    assert again.stdout.splitlines()[-1] == "FAILED: the contract is broken by the same order of the same messages"
    assert "~~~~ switch: bob is interrupted here, alice goes on ~~~~" in replay(there, "--trace").stdout


def test_it_fails_again_from_another_directory(there, tmp_path_factory):
    assert goldentape(tmp_path_factory.mktemp("else"), "fuzz", "replay", str(repro_in(there))).returncode == 1


def test_a_contract_that_allows_it_is_a_fix(there):
    (there / "lock.yaml").write_text(YAML.replace("max_open: 1", "max_open: 2"))

    again = replay(there)

    assert again.returncode == 0 and again.stdout.splitlines()[-1].startswith("FIXED: it holds in this order"), again


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda there: write_again(there, *TWO[:-1]), "it is another one"),
        (lambda there: write_again(there, *(s for pair in zip(TWO[:5], TWO[5:], strict=True) for s in pair)), "itself"),
        (lambda there: (there / "lock.yaml").write_text(YAML.replace("lock:", "other:")), "no invariant lock"),
    ],
)
def test_what_cannot_be_told_any_more_has_changed(there, change, why):
    change(there)
    again = replay(there)

    assert again.returncode == 4 and "CHANGED" in again.stdout and why in again.stdout, again


def write_again(there, *sentences: str) -> None:
    (there / "two.tape").unlink()
    write(there / "two.tape", *sentences)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda value: value | {"slices": [["bob", "c2"]]}, "slices[0] is none"),
        (lambda value: value | {"tape": "two.tape"}, "`tape` does not say which"),
        (lambda value: value | {"contracts": []}, "`contracts` names one"),
        (lambda value: value | {"failure": {}}, "`failure` does not say what went wrong"),
        (lambda value: value | {"tape": {"path": "gone.tape", "steps": 12}}, "is not there"),
        (lambda value: value | {"goldentape_repro": 9}, "another kind or version"),
    ],
)
def test_a_repro_file_that_is_none_is_one_line(there, change, words):
    repro_in(there).write_text(json.dumps(change(json.loads(repro_in(there).read_text()))))

    again = replay(there)

    assert again.returncode == 2 and words in again.stderr and len(again.stderr.splitlines()) == 1, again


def test_the_printed_test_fails_until_it_is_fixed(there):
    printed = goldentape(there, "fuzz", "tape", "two.tape", "--contract", "lock.yaml").stdout.splitlines()
    begin = printed.index("      from verifier.fuzz import replay")
    (there / "test_it.py").write_text("\n".join(line[6:] for line in printed[begin : begin + 4]))

    def tested():
        return goldentape(there, "test_it.py", "-q", "-p", "no:cacheprovider", program=("-m", "pytest"))

    red = tested()
    assert red.returncode == 1 and "FAILED: the contract is broken by the same order" in red.stdout, red
    (there / "lock.yaml").write_text(YAML.replace("max_open: 1", "max_open: 2"))
    assert tested().returncode == 0


def test_ctrl_c_keeps_what_was_found(tmp_path):
    way = ("tool_executing", "tool_completed")
    many = [f"u{u} < {step} r{r}" for r in range(30) for u in range(12) for step in way]
    write(tmp_path / "many.tape", *map(spelled, many))
    (tmp_path / "lock.yaml").write_text(YAML)
    command = [sys.executable, "-m", "goldentape", "fuzz", "tape", "many.tape", "--contract", "lock.yaml"]
    with subprocess.Popen(
        [*command, "--schedules", "10000000", "--budget", "10m"], cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        # On no terminal the first word about how far it is comes after ten seconds: it is searching by then.
        assert "interleavings" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said, wrong = process.communicate(timeout=30)

    assert process.returncode == 130 and "Traceback" not in wrong
    assert "POSSIBLE lock" in said and "interrupted: what is above is what was found until then" in said


def test_equal_seeds_say_the_same_in_processes_with_other_hashes(there):
    def said(hashes: str) -> list[str]:
        command = [sys.executable, "-m", "goldentape", "fuzz", "tape", "two.tape", "--contract", "lock.yaml"]
        run = subprocess.run(
            command, cwd=there, capture_output=True, text=True, timeout=60, env={"PYTHONHASHSEED": hashes}
        )
        return run.stdout.splitlines()[:-1]

    assert said("0") == said("1") != []


# -- every protocol


@pytest.mark.parametrize("path", GOOD, ids=name)
def test_a_good_tape_is_good_in_every_order(path):
    contract, talked = told(path)

    report = fuzz_tape(contract, Source.of(talked.tape), interleavings=100)

    assert report.dependent == [] and report.possible == []


def test_messages_in_messagepack_are_read_as_others_are():
    contract = read_contract(YAML.replace("format: json", "format: msgpack").encode(), "lock.yaml")

    def packed(sentence: str) -> str:
        head, _, text = sentence.partition("{")
        return f"{head}0x{msgpack.packb({**json.loads('{' + text), 7: [b'bytes', 1.5]}).hex()}"

    report = fuzz_tape(contract, Source.of(talk(*map(packed, TWO)).tape))

    assert [one.invariant for one in report.possible] == ["lock"]


def test_a_warning_is_told_and_fails_nothing(tmp_path):
    write(tmp_path / "two.tape", *TWO)
    (tmp_path / "lock.yaml").write_text(YAML.replace(LOCK, LOCK.replace("}", ", severity: warning}")))

    found = goldentape(tmp_path, "fuzz", "tape", "two.tape", "--contract", "lock.yaml")

    assert found.returncode == 0 and "(it would only warn)" in found.stdout, found


def test_a_tape_that_is_too_long_is_refused_in_one_line(tmp_path):
    write(tmp_path / "long.tape", *(f"u{n % 9} < tool_executing r{n}" for n in range(21_000)))

    found = goldentape(tmp_path, "fuzz", "tape", "long.tape")

    assert found.returncode == 2 and len(found.stderr.splitlines()) == 1
    assert "is too long to be told in many orders, found 21,000 events, wanted at most 20,000" in found.stderr
