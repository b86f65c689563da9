"""Judging fast is judging: what was judged before changes no verdict; what is remembered of a text is what it says."""

import json
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from races import HOME, TOKEN

from goldentape.commands.finding import read_contracts
from verifier.check import verify
from verifier.choose import choose
from verifier.fuzz.canaries import Canaries
from verifier.fuzz.crowd import crowd
from verifier.fuzz.digest import digest
from verifier.fuzz.judged import Contracts
from verifier.fuzz.plans import with_faults
from verifier.fuzz.policy import policy
from verifier.fuzz.quick import Quick
from verifier.fuzz.recording import recording
from verifier.fuzz.run import Runner
from verifier.fuzz.script import Close, Send, Wait
from verifier.fuzz.seen import Run, What
from verifier.fuzz.stamps import STAMP, without_stamps
from verifier.fuzz.workload import Session, User, Workload
from verifier.taint.decode import _walk, views

APPS = ("leak_module_variable", "wrong_order", "double_completion", "reconnect_race", "lost_completion", "close_1011")
DECODERS = frozenset({"json", "unicode", "url", "html", "base64", "hex"})

(GOLDEN,) = read_contracts(["golden-path"], {})


WARNINGS = {name for name, spec in GOLDEN.invariants.items() if spec.severity != "error"}
COUNTING = choose(GOLDEN, set(GOLDEN.invariants) - WARNINGS, frozenset())
QUICK = Quick(COUNTING)


def dropped(random, moments):
    del moments[random.randrange(len(moments) - 1)]
    return moments


def doubled(random, moments):
    at = random.randrange(len(moments) - 1)
    return [*moments[:at], moments[at], *moments[at:]]


def swapped(random, moments):
    at = random.randrange(len(moments) - 2)
    one, other = moments[at], moments[at + 1]
    return [*moments[:at], other._replace(at=one.at), one._replace(at=other.at), *moments[at + 2 :]]


def elsewhere(random, moments):
    at = random.randrange(len(moments) - 1)
    session = random.choice(sorted({moment.session for moment in moments}))
    return [*moments[:at], moments[at]._replace(session=session), *moments[at + 1 :]]


def reworded(random, moments):
    """A piece of one message stands in another, wherever: an id, a canary, a type, a brace."""
    said = [n for n, moment in enumerate(moments) if moment.what is What.MESSAGE]
    one, other = moments[random.choice(said)], random.choice(said)
    begin = random.randrange(len(one.payload))
    piece = one.payload[begin : begin + random.randrange(40)]
    text = moments[other].payload
    at = random.randrange(len(text))
    moments[other] = moments[other]._replace(payload=text[:at] + piece + text[at + random.choice((0, len(piece))) :])
    return moments


def told_to_others(random, moments):
    """What one says, another is told in an answer."""
    asks = [moment for moment in moments if moment.what is What.MESSAGE and moment.dir == "c2s"]
    answers = [n for n, m in enumerate(moments) if m.what is What.MESSAGE and m.dir == "s2c" and '"data"' in m.payload]
    at = random.choice(answers)
    value = json.loads(moments[at].payload)
    value["data"] = {**value["data"], "more": json.loads(random.choice(asks).payload)["content"]}
    moments[at] = moments[at]._replace(payload=json.dumps(value))
    return moments


def late(random, moments):
    at = random.randrange(len(moments) - 1)
    wait = random.choice((10**8, 10**9, 10**10, 10**11))
    return [*moments[:at], *(moment._replace(at=moment.at + wait) for moment in moments[at:])]


PLAIN = {spoil.__name__: spoil for spoil in (dropped, doubled, swapped, elsewhere, reworded, told_to_others, late)}


def runs_of(app: str, count: int) -> tuple[Workload, list[Run]]:
    runner = Runner(f"{app}:app", app_dir=HOME)
    work = crowd(2, 1, passports=(TOKEN,), done="agent_completed")
    return work, [runner.run(work, policy("mix", 3, n)) for n in range(count)]


def wrong(outcomes):
    return {o.name: [v for group in o.groups for v in group.first] for o in outcomes if o.counts and o.groups}


def good_runs():
    runner = Runner("clean_context:app", app_dir=HOME)
    work = with_faults(crowd(2, 1, passports=(TOKEN,), done="agent_completed"), ("tabs",))
    return work, [runner.run(work, policy("mix", 3, n)) for n in range(6)]


GOOD = good_runs()


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
        again, new = (
            verify(GOLDEN, recording(run, users.__getitem__).source(), lasting=rules) for rules in (lasting, None)
        )
        assert again == new
    assert lasting


@pytest.mark.parametrize("app", [*APPS, "clean_anyio", "clean_locks", "leak_wrong_key", "leak_shared_buffer"])
@pytest.mark.parametrize("faults", [(), ("reconnect", "tabs"), ("drop", "slow")])
def test_a_glance_finds_what_the_engine_finds(app, faults):
    runner = Runner(f"{app}:app", app_dir=HOME)
    work = with_faults(crowd(3, 2, passports=(TOKEN,), done="agent_completed"), faults)
    users = {session.name: session.user for session in work.sessions}
    quick, accepted = Quick(COUNTING), 0
    for n in range(12):
        run = runner.run(work, policy("mix", 5, n))
        found = wrong(verify(COUNTING, recording(run, users.__getitem__).source()).outcomes)
        assert wrong(quick.outcomes(run, users.__getitem__)) == found
        accepted += not found
    assert accepted or app not in ("clean_anyio", "clean_locks") or faults


@given(st.randoms(use_true_random=False), st.sampled_from(sorted(PLAIN)))
@settings(max_examples=60, deadline=None)
def test_whatever_is_spoilt_a_glance_finds_what_the_engine_finds(random, spoil):
    work, runs = GOOD
    users = {session.name: session.user for session in work.sessions}
    run = random.choice(runs)
    moments = PLAIN[spoil](random, list(run.moments))
    run = replace(run, moments=tuple(moments))
    told = recording(run, users.__getitem__)
    assert wrong(QUICK.outcomes(run, users.__getitem__)) == wrong(verify(COUNTING, told.source()).outcomes)


GRAPHQL = """\
import asyncio, json

async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept", "subprotocol": "graphql-transport-ws"})

    async def say(**message):
        await send({"type": "websocket.send", "text": json.dumps(message)})

    async def stream(id):
        for n in range(2):
            await asyncio.sleep(0.01)
            await say(id=id, type="next", payload={"data": {"n": n}})
        await say(id=id, type="complete")

    while (message := await receive())["type"] == "websocket.receive":
        message = json.loads(message["text"])
        if message["type"] == "connection_init":
            await say(type="connection_ack")
        else:
            asyncio.create_task(stream(message["id"]))
"""


@pytest.mark.parametrize("spoil", [None, "dropped", "doubled", "swapped", "elsewhere", "late", "reworded"])
def test_a_contract_without_plain_logs_is_judged_alike_and_of_its_subprotocol(tmp_path, spoil):
    (tmp_path / "gql_numbers.py").write_text(GRAPHQL)
    (contract,) = read_contracts(["graphql-transport-ws"], {})
    errors = {name for name, spec in contract.invariants.items() if spec.severity == "error"}
    counting = choose(contract, errors, frozenset())
    hello, ask = (
        Send('{"type":"connection_init"}', ""),
        Send('{"id":"1","type":"subscribe","payload":{"query":"subscription {n}"}}', ""),
    )
    names = {"alice": "alice", "alice-tab": "alice", "bob": "bob"}
    script = (hello, Wait("", "connection_ack"), ask, Wait("", "complete"), Close())
    sessions = tuple(Session(name=name, user=user, script=script) for name, user in names.items())
    work = Workload((User("alice"), User("bob")), sessions, ())
    runner, quick, random, violated = Runner("gql_numbers:app", app_dir=tmp_path), Quick(counting), Random(7), 0
    for n in range(25):
        run = runner.run(work, policy("mix", 1, n))
        if spoil is not None:
            run = replace(run, moments=tuple(PLAIN[spoil](random, list(run.moments))))
        verdict = verify(counting, recording(run, names.__getitem__).source())
        assert verdict.events
        assert wrong(quick.outcomes(run, names.__getitem__)) == wrong(verdict.outcomes)
        violated += bool(wrong(verdict.outcomes))
    assert violated if spoil in ("dropped", "doubled", "swapped", "elsewhere") else spoil is not None or not violated


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


plain = st.recursive(
    st.integers() | st.booleans() | st.floats() | st.binary(max_size=3) | st.text(st.characters(), max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


@given(plain, plain)
def test_a_digest_tells_values_apart_and_what_is_written_alike_is_alike(one, other):
    assert digest([one, one]) == digest([one, eval(repr(one), {"nan": float("nan"), "inf": float("inf")})])
    assert (digest(one) == digest(other)) == (repr(one) == repr(other))


def test_a_text_of_an_apps_own_class_has_a_digest():
    assert digest(("alice", What.MESSAGE)) == digest(("alice", What.MESSAGE)) != digest(("alice", What.CLOSE))


@given(st.lists(st.sampled_from(
    ["2026-01-01T00:00:01", " 2026-01-01 00:00:01.5", "1767225600", "1767225600123", "x", "7", "2026", "17672", ".25"]
)).map("".join))  # fmt: skip
def test_stamps_are_found_alike_whatever_else_there_is(text):
    assert without_stamps(text) == STAMP.sub("\0", text)
