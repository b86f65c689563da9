"""`fuzz replay` of live failures: FAILED, FIXED, CHANGED and k of n; from elsewhere, against elsewhere, interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from live_servers import ENV, SMALL, Serving, free_port, one_line, ran, small, until

from goldentape.errors import InputError
from verifier.fuzz.crowd import crowd
from verifier.fuzz.live.repro import load

REPLAY = [sys.executable, "-m", "goldentape", "fuzz", "replay"]
ONCE = """
goldentape: 1
contract: {id: once, version: "1.0.0"}
wire: {format: json, type: type, unknown: ignore}
params: {most: 0}
events: {done: {}}
invariants: {once: {kind: count, event: done, max: "${most}"}}
"""


def saved(folder: Path, port: int, **more: object) -> Path:
    """Write the file of a leak that comes when bob speaks after alice."""
    file = folder / "live-leak.json"
    failure = {"kind": "leak", "victim": "bob", "owner": "alice", "detail": "done.of", "sentence": "as it was"}
    file.write_text(json.dumps({
        "goldentape_repro": 1, "against": "live", "failure": failure, "target": f"ws://127.0.0.1:{port}/ws",
        "workload": crowd(2, 1, path="/ws", done="done").to_json(), "plan": [], "rate": {"failed": 10, "of": 10},
        **more,
    }))  # fmt: skip
    return file


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Two servers: one that tells bob what alice has said, and one where that is fixed."""
    folder, wrong, right = tmp_path_factory.mktemp("servers"), free_port(), free_port()
    (folder / "small.py").write_text(SMALL)
    with (
        Serving(small(wrong, "remembers").split(), wrong, folder),
        Serving(small(right).split(), right, folder),
    ):
        yield wrong, right


def test_failed_fixed_and_how_often(servers, tmp_path):
    wrong, right = servers
    file = saved(tmp_path, wrong)

    failed = ran([*REPLAY, str(file), "--json"], tmp_path)
    fixed = ran([*REPLAY, str(file), "--target", f"ws://127.0.0.1:{right}"], tmp_path)

    told = json.loads(failed.stdout)
    assert (failed.returncode, told["outcome"], told["rate"]["failed"], told["rate"]["of"]) == (1, "FAILED", 3, 3)
    assert fixed.returncode == 0 and "FIXED: none of 3 plays fails; 10 of 10 when it was saved" in fixed.stdout, fixed


CHANGED = {
    "chance": ({"rate": {"failed": 5, "of": 10}}, ("--times", "2"), "which may be chance (58%); 5 of 10"),
    "refused": ({}, ("--target", "ws://127.0.0.1:{port}/elsewhere"), "refuses alice's connection with 302"),
    "otherwise": ({"contracts": ["once.yaml"]}, ("--times", "1"), "something else is wrong now: "),
}


@pytest.mark.parametrize("why", CHANGED)
def test_what_cannot_be_told_is_changed(servers, tmp_path, why):
    more, arguments, words = CHANGED[why]
    _, right = servers
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "once.yaml").write_text(ONCE)
    file = saved(tmp_path / "sub", right, **more)

    found = ran([*REPLAY, str(file), *(word.format(port=right) for word in arguments)], tmp_path)

    assert found.returncode == 4 and "CHANGED: " in found.stdout and words in found.stdout, found


def test_values_of_parameters_are_kept_and_files_are_found_from_anywhere(servers, tmp_path):
    _, right = servers
    (tmp_path / "once.yaml").write_text(ONCE)
    (tmp_path / "kept").mkdir()
    file = saved(tmp_path / "kept", right, contracts=["../once.yaml"], parameters={"most": "2"})
    (tmp_path / "elsewhere").mkdir()

    found = ran([*REPLAY, str(file)], tmp_path / "elsewhere")

    assert found.returncode == 0 and "FIXED: " in found.stdout, found


def test_a_server_that_has_moved_is_told_with_what_to_say(tmp_path):
    one_line(ran([*REPLAY, str(saved(tmp_path, free_port()))], tmp_path), 3, "--target says where it is")


def test_interrupted_it_tells_what_was_counted(servers, tmp_path):
    file = saved(tmp_path, servers[0])
    process = subprocess.Popen(
        [*REPLAY, str(file), "--times", "10000", "--rate", "1000"], cwd=tmp_path, env=ENV, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: "plays" in process.stderr.readline())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 130 and "Traceback" not in err, err
    assert "interrupted: " in out and " plays fail until then" in out


@pytest.mark.parametrize(
    "more",
    [
        {"rate": {"failed": 11, "of": 10}}, {"rate": {"failed": -1, "of": 0}}, {"plan": [["alice", 1, 10**9]]},
        {"history": [1]}, {"history": {}}, {"target": 3}, {"parameters": {"a": 1}}, {"workload": []},
        {"failure": {"kind": "leak", "victim": 3}}, {"failure": {"kind": "bad luck"}}, {"goldentape_repro": 2},
        {"contracts": [1]}, {"shared": "x"},
    ],
)  # fmt: skip
def test_a_file_that_is_not_as_it_should_be_is_refused(tmp_path, more):
    with pytest.raises(InputError, match=r"live-leak\.json: is no repro file of a live failure"):
        load(saved(tmp_path, 1, **more), {})


def test_a_search_without_excerpts_quotes_nobody_and_a_script_goes_to_the_urls_path(servers, tmp_path):
    wrong, _ = servers
    (tmp_path / "two.yaml").write_text(
        "users: [ann, ben]\ndone: done\nscript: [{send: {type: ask, content: 'hunter2 {content}'}}, wait]\n"
    )
    asked = ("--script", "two.yaml", "--faults", "none", "--tries", "1", "--confirm", "2", "--most", "1")
    command = [sys.executable, "-m", "goldentape", "fuzz", "live", f"ws://127.0.0.1:{wrong}/v2/ws", *asked]
    found = ran([*command, "--no-excerpts", "--report", "html=a.html", "--report", "json=a.json"], tmp_path)

    assert found.returncode == 1 and "LEAK  ben receives what ann has sent" in found.stdout, found
    [repro] = (tmp_path / ".goldentape").glob("*.json")
    value = json.loads(repro.read_text())
    assert {session["path"] for session in value["workload"]["sessions"]} == {"/v2/ws"}
    told = [found.stdout, found.stderr, *((tmp_path / name).read_text() for name in ("a.html", "a.json"))]
    assert not [text for text in (*told, json.dumps(value["story"])) if "hunter2" in text]
