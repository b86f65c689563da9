"""Judging fast is judging: what was judged before changes no verdict; what is remembered of a text is what it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from races import HOME, TOKEN

from goldentape.commands.finding import read_contracts
from verifier.check import verify
from verifier.fuzz.canaries import Canaries
from verifier.fuzz.crowd import crowd
from verifier.fuzz.judged import Contracts
from verifier.fuzz.policy import policy
from verifier.fuzz.recording import recording
from verifier.fuzz.run import Runner
from verifier.fuzz.seen import Run
from verifier.fuzz.workload import Workload
from verifier.taint.decode import _walk, views

APPS = ("leak_module_variable", "wrong_order", "double_completion", "reconnect_race", "lost_completion", "close_1011")
DECODERS = frozenset({"json", "unicode", "url", "html", "base64", "hex"})

(GOLDEN,) = read_contracts(["golden-path"], {})


def runs_of(app: str, count: int) -> tuple[Workload, list[Run]]:
    runner = Runner(f"{app}:app", app_dir=HOME)
    work = crowd(2, 1, passports=(TOKEN,), done="agent_completed")
    return work, [runner.run(work, policy("mix", 3, n)) for n in range(count)]


def told(judge: Contracts, run: Run) -> list[tuple[str, tuple[int, ...]]]:
    return [(failure.fingerprint, failure.sentence, failure.moments) for failure in judge.failures(run)]


@pytest.mark.parametrize("app", APPS)
def test_a_run_is_judged_alike_whatever_was_judged_before(app):
    work, runs = runs_of(app, 12)
    users = {session.name: session.user for session in work.sessions}
    one = Contracts((GOLDEN,), lambda session: users[session])
    for run in runs:
        assert told(one, run) == told(Contracts((GOLDEN,), lambda session: users[session]), run)


@pytest.mark.parametrize("app", APPS[:3])
def test_rules_that_last_give_the_same_verdict(app):
    work, runs = runs_of(app, 8)
    users = {session.name: session.user for session in work.sessions}
    lasting = {}
    for run in runs:
        again, new = (verify(GOLDEN, recording(run, users.__getitem__), lasting=rules) for rules in (lasting, None))
        assert again == new
    assert lasting


def test_canaries_are_found_each_time():
    work, runs = runs_of("leak_module_variable", 12)
    users = {session.name: session.user for session in work.sessions}
    one = Canaries(work.canaries(), users)
    found = [list(one.failures(run)) for run in runs]
    assert any(found)
    assert found == [list(Canaries(work.canaries(), users).failures(run)) for run in runs]


pieces = st.sampled_from(
    ["eyJhIjogIkNOUlktYWxpY2UtMS1mODkzIn0=", '{"a": ["x", "Zm9vYmFyYmF6cXV4"]}', "%41%42", "&amp;amp;", "\\u0041",
     "abc", " ", "434e52592d616c6963652d31", '"', "[1, 2, 3]"]
)  # fmt: skip
texts = st.lists(pieces | st.text(max_size=12), max_size=12).map("".join)


@given(st.lists(texts, max_size=5), st.integers(0, 300), st.integers(0, 30), st.integers(0, 8))
def test_what_is_remembered_of_a_text_is_what_it_decodes_to(said, characters, pieces, most):
    def all_of(decode):
        budget = [characters, pieces]
        return [[view for view, _ in zip(decode(text, DECODERS, budget), range(most), strict=False)] for text in said]

    assert all_of(views) == all_of(_walk)


def test_a_shipped_contract_is_found_by_the_name_that_repro_files_have_of_it():
    (again,) = read_contracts([GOLDEN.file], {})
    assert again.file == GOLDEN.file == "golden-path.yaml"
    assert again.digest == GOLDEN.digest
