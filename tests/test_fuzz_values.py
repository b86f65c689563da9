"""Schedules and workloads are values: JSON in and out, and every smaller one is whole."""

from __future__ import annotations

import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldentape.errors import InputError
from verifier.fuzz.canary import canary, carries, planted, word_of
from verifier.fuzz.crowd import FAULTS, crowd
from verifier.fuzz.passport import Passport
from verifier.fuzz.schedule import Schedule, Side, Slice, slices
from verifier.fuzz.script import Close, Drop, Fast, Send, Slow, Wait
from verifier.fuzz.workload import After, Session, User, Workload

texts = st.text(max_size=8)
actions = st.one_of(
    st.builds(Send, texts | st.binary(max_size=4), texts),
    st.builds(Wait, texts, texts),
    st.builds(Close, st.integers(1000, 4999), texts),
    st.sampled_from([Drop(), Slow(), Fast()]),
)
schedules = st.lists(st.builds(Slice, texts, st.integers(0, 9), st.sampled_from(list(Side)))).map(
    lambda found: Schedule(tuple(found))
)


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    users = tuple(
        User(name, draw(st.sampled_from(["", '{"role": "a"}'])))
        for name in ("ann", "ben", "cid")[: draw(st.integers(1, 3))]
    )
    sessions: list[Session] = []
    for n in range(draw(st.integers(1, 4))):
        after = draw(st.none() | st.sampled_from([s.name for s in sessions])) if sessions else None
        script = tuple(draw(st.lists(actions, max_size=4)))
        done = draw(st.none() | st.integers(0, 3))
        sessions.append(
            Session(
                name=f"s{n}",
                user=draw(st.sampled_from(users)).name,
                query=(("a", draw(texts)),),
                after=After(after, done) if after else None,
                script=script,
            )
        )
    return Workload(users, tuple(sessions), (Passport("jwt", "query", "token", "key"),))


@given(schedules)
def test_a_schedule_survives_json(schedule):
    assert Schedule.from_json(json.loads(json.dumps(schedule.to_json()))) == schedule


@given(workloads())
def test_a_workload_survives_json(workload):
    again = Workload.from_json(json.loads(json.dumps(workload.to_json())))
    assert again == workload
    assert hash(again) == hash(workload)


@given(workloads())
def test_every_smaller_workload_is_whole_and_smaller(workload):
    def size(of: Workload) -> tuple[int, ...]:
        actions_ = [action for session in of.sessions for action in session.script]
        drops = sum(isinstance(action, Drop) for action in actions_)
        later = sum(session.after is not None for session in of.sessions)
        return len(of.users), len(of.sessions), len(actions_), drops, later

    for _, smaller in workload.smaller():
        assert all(a <= b for a, b in zip(size(smaller), size(workload), strict=True))
        assert size(smaller) != size(workload)
        assert Workload.from_json(smaller.to_json()) == smaller


def test_joined_slices_are_those_of_one_session_and_side():
    schedule = slices([("a", 1), ("a", 2), ("b", 0), ("b", 3), ("b", 1, "client"), ("a", 2)])
    assert schedule.joined() == slices([("a", 3), ("b", 0), ("b", 1, "client"), ("a", 2)])


@pytest.mark.parametrize("bad", [{}, [["a"]], [["a", -1]], [["a", True]], [["a", 1, "left"]], [[1, 1]]])
def test_a_bad_schedule_is_told_in_one_line(bad):
    with pytest.raises(InputError):
        Schedule.from_json(bad)


@pytest.mark.parametrize(
    "bad",
    [
        [],
        {"users": [{}]},
        {"users": [{"name": "a"}], "sessions": [{"name": "s", "user": "b"}]},
        {"users": [{"name": "a"}], "sessions": [{"name": "s", "user": "a", "scrip": []}]},
        {"users": [{"name": "a"}], "sessions": [{"name": "s", "user": "a", "script": [{"do": "sned"}]}]},
        {"users": [{"name": "a"}], "sessions": [{"name": "s", "user": "a", "script": [{"do": "send"}]}]},
        {"users": [{"name": "a"}], "sessions": [{"name": "s", "user": "a", "after": {"session": "t"}}]},
        {"users": [{"name": "a"}], "sessions": [{"name": "s", "user": "a"}, {"name": "s", "user": "a"}]},
        {"passports": [{"as": "jwt:query:token"}]},
        {"passports": [{"as": "jwt:query:token", "secret_env": "NOT_SET"}]},
    ],
)
def test_a_bad_workload_is_told_in_one_line(bad):
    with pytest.raises(InputError) as told:
        Workload.from_json(bad)
    assert "\n" not in str(told.value)


def test_with_a_message_go_the_waits_for_its_answer_and_other_sessions_begin_as_they_did():
    workload = crowd(2, 2, faults=("drop", "reconnect"), done="agent_completed")
    smaller = workload.without_message("alice", 0)
    [send] = [action for action in smaller.session("alice").script if isinstance(action, Send)]
    assert send.canary == canary("alice", 2)
    assert smaller.session("alice").script == (send, Wait(send.canary, "agent_completed"), Close())
    assert smaller.without_session("bob").session("bob-2").after is None


def test_a_session_that_begins_after_actions_that_are_gone_begins_that_much_sooner():
    first = Session(name="a", user="u", script=(Send("1", "c1"), Wait("c1"), Send("2", "c2")))
    workload = Workload((User("u"),), (first, Session(name="b", user="u", after=After("a", 3))))
    assert workload.without_message("a", 0).session("b").after == After("a", 1)


def test_a_secret_from_the_environment_is_not_written():
    passport = Passport.parse("jwt:header:Authorization", "hunter2", env="KEY")
    written = json.dumps(crowd(passports=(passport,)).to_json())
    assert "hunter2" not in written
    assert Workload.from_json(json.loads(written), {"KEY": "hunter2"}).passports == (passport,)


def test_passports_say_who_a_user_is():
    ways = (
        "jwt:header:Authorization",
        "jwt:query:token",
        "plain:query:user_id",
        "plain:cookie:name",
        "jwt:subprotocol:bearer",
    )
    workload = crowd(1, passports=tuple(Passport.parse(way, "a key that is long enough for this") for way in ways))
    head = workload.head(workload.sessions[0])
    token = dict(head.headers)["Authorization"].removeprefix("Bearer ")
    assert jwt.decode(token, "a key that is long enough for this", ["HS256"])["sub"] == "alice"
    assert head.query == f"token={token}&user_id=alice"
    assert head.subprotocols == ("bearer", token)
    assert dict(head.headers)["cookie"] == "name=alice"


def test_a_canary_is_found_as_token_and_as_word():
    token = canary("alice", 1)
    assert carries(planted(token), token)
    assert carries(f"so {word_of(token)} then", token)
    assert not carries(planted(canary("alice", 2)), token)


@given(st.integers(1, 9), st.integers(0, 3), st.sets(st.sampled_from(FAULTS)))
def test_every_message_of_a_crowd_has_a_canary_of_its_own(users, messages, faults):
    workload = crowd(users, messages, faults=faults)
    assert len(workload.canaries()) == workload.messages
    for session in workload.sessions:
        for action in session.script:
            if isinstance(action, Send):
                assert carries(json.loads(action.payload)["content"], action.canary)
