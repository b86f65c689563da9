"""Who does what: from YAML with the line of each mistake, from a tape, and from a Hypothesis machine."""

from __future__ import annotations

import json
from importlib.resources import files

import jsonschema
import pytest
from hypothesis import settings
from hypothesis.stateful import rule, run_state_machine_as_test
from races import HOME, TOKEN
from tapes import tape

from goldentape.errors import InputError
from verifier.fuzz import ScheduleFailure, UserMachine
from verifier.fuzz.answers import filled
from verifier.fuzz.from_tape import workload_of_tape
from verifier.fuzz.live.fresh import fresh
from verifier.fuzz.machine import users
from verifier.fuzz.script import Close, Drop, Send, Wait
from verifier.fuzz.script_file import workload_of
from verifier.load import load

SCHEMA = jsonschema.Draft202012Validator(
    json.loads(files("goldentape.schemas").joinpath("script.schema.json").read_text("utf-8"))
)
GOOD = """\
path: /chat?v=1
users: [alice, bob]
done: agent_completed
script:
  - send: {type: user_message, content: "{content}", thread_id: "{user}-t"}
  - wait
  - send: {type: cancel, run_id: "${agent_started:run_id}"}
  - drop
  - reconnect
  - send: hello {content}
  - wait: pong
  - close: 1001
scripts:
  bob: [{send: "{content}"}, wait]
"""


def read(text):
    document = load(text.encode(), "users.yaml")
    return document, workload_of(document, (), {})


# -- YAML


def test_a_script_is_read_and_its_schema_accepts_it():
    document, workload = read(GOOD)

    SCHEMA.validate(document.value)
    assert [s.name for s in workload.sessions] == ["alice", "alice-2", "bob"]
    first, second, bob = (s.script for s in workload.sessions)
    assert [type(a) for a in first] == [Send, Wait, Send, Drop] and first[1].type == "agent_completed"
    assert first[0].canary in first[0].payload and '"thread_id":"alice-t"' in first[0].payload
    assert second[-1] == Close(1001) and second[1] == Wait("", "pong") and [type(a) for a in bob] == [Send, Wait, Close]
    assert workload.sessions[1].after.session == "alice" and workload.sessions[0].query == (("v", "1"),)


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("  - wait\n", "  - wiat\n", "6:5", "did you mean wait?"),
        ("done:", "dnoe:", "3:1", "did you mean done?"),
        ("[alice, bob]", "[alice, alice]", "2:16", "two users have one name"),
        ("[alice, bob]", "0", "2:1", "a number from 1 to 64"),
        ("  bob:", "  bop:", "14:3", "did you mean bob?"),
        ("close: 1001", "close: 7", "12:5", "not a close code"),
        ("${agent_started:run_id}", "${agent_started:a..b}", "7:5", "not a path"),
        ("wait: pong", "wait: 3", "11:5", "names an event"),
        ("/chat?v=1", "[1]", "1:1", "`path` is a text"),
        ("  - reconnect", "  - {wait: a, send: b}", "9:5", "no such step"),
        ("hello {content}", "", "10:5", "`send` says what"),
    ],
)
def test_each_mistake_is_told_with_its_line_and_column(old, new, place, words):
    assert old in GOOD
    with pytest.raises(InputError) as error:
        read(GOOD.replace(old, new, 1))

    assert f"users.yaml:{place}:" in str(error.value) and words in str(error.value), str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "script: []", "users: 2", "a: [", "sessions: 3", "script: [wait]\nas: [x]"])
def test_what_is_no_script_is_refused(text):
    with pytest.raises(InputError, match=r"users\.yaml"):
        read(text)


# -- what was told before


def test_a_place_becomes_what_the_user_was_sent_last():
    first, second = '{"type":"ready","id":7,"of":{"x":"a"}}', '{"type":"ready","id":8}'

    said = filled('{"n":"${ready:id}","t":"say ${ready:id} ${ready:of.x}!","u":"${other:id}"}', [[first], [second]])

    assert json.loads(said) == {"n": 8, "t": "say 8 a!", "u": "${other:id}"}
    assert filled("plain ${ready:id}", [[second]]) == "plain 8"
    assert filled(b"${ready:id}", [[second]]) == b"${ready:id}"


# -- tapes

TAPE = (
    "alice connects /ws?token=[r:jwt:00000000000000000000000000000000]&v=2 rule=jwt:query:token:sub",
    'alice < {"type":"ready","session_id":"s-49fb1c77aa02"}',
    'alice > {"type":"ask","content":"what now","thread_id":"plans","session_id":"s-49fb1c77aa02",'
    '"room_id":"hall-of-all"}',
    'alice < {"type":"done","content":"this"}',
    'alice > {"type":"ask","content":"and then","for":"alice","key_id":"6f1d3a52-7f2e-4f0a-9a7e-0c2d7d0f4b11"}',
    "alice ends reset by client",
    'bob > {"type":"join","room_id":"hall-of-all"}',
    'bob < {"type":"joined"}',
    "bob ends eof by server",
)


def test_a_tape_gives_its_users_scripts_with_ids_and_canaries_of_their_own():
    with tape(*TAPE) as found:
        workload = workload_of_tape(list(found.connections()), list(found.events()), (TOKEN,))

    alice, bob = workload.sessions
    assert alice.query == (("v", "2"),) and [type(a) for a in alice.script] == [Send, Wait, Send, Drop]
    first, second = (json.loads(a.payload) for a in alice.script if isinstance(a, Send))
    assert first["session_id"] == "${ready:session_id}", "the server says it, and says another one next time"
    assert first["thread_id"] == "alice-plans", "nobody shares what a client made up"
    assert first["room_id"] == "hall-of-all", "but two users share this"
    assert alice.script[0].canary in first["content"] and "what now" in first["content"]
    assert alice.script[1] == Wait(alice.script[0].canary, "done") and second["for"] == "alice"
    assert json.loads(bob.script[0].payload) == {"type": "join", "room_id": "hall-of-all"}


def test_ids_of_a_form_keep_it_and_are_others_in_each_try():
    with tape(*TAPE) as found:
        workload = workload_of_tape(list(found.connections()), list(found.events()), ())
    a, b = fresh(workload, "a1"), fresh(workload, "b2")

    def key(one):
        return json.loads([x.payload for x in one.workload.sessions[0].script if isinstance(x, Send)][1])["key_id"]

    assert len({key(a), key(b), "6f1d3a52-7f2e-4f0a-9a7e-0c2d7d0f4b11"}) == 3 and len(key(a)) == 36
    assert a.told(key(a)) == "6f1d3a52-7f2e-4f0a-9a7e-0c2d7d0f4b11"


def test_a_tape_on_which_no_client_speaks_is_refused():
    with tape('alice < {"type":"hi"}') as found, pytest.raises(InputError, match="no client says anything"):
        workload_of_tape(list(found.connections()), list(found.events()))


# -- a machine


class Asking(UserMachine):
    app_dir = str(HOME)
    passports = (TOKEN,)

    @rule(user=users("alice", "bob"))
    def ask(self, user):
        self.send(user, {"type": "user_message", "content": "{content}", "thread_id": "{user}-t"})

    @rule(user=users("alice", "bob"))
    def hear(self, user):
        self.wait(user)


FEW = settings(max_examples=15, stateful_step_count=6, deadline=None, derandomize=True, database=None)


def test_a_machine_finds_a_leak_and_tells_its_story():
    class Leaky(Asking):
        app = "leak_module_variable:app"

    with pytest.raises(ScheduleFailure, match="receives what") as error:
        run_state_machine_as_test(Leaky, settings=FEW)

    assert error.value.found.failure.kind == "leak" and error.value.found.workload.messages <= 3


def test_a_machine_is_silent_on_a_clean_app():
    class Clean(Asking):
        app = "clean_fifo:app"

    run_state_machine_as_test(Clean, settings=FEW)


def test_a_machine_gives_workloads_the_same_each_time():
    made = Asking.workloads(10)

    assert made == Asking.workloads(10) and len(made) > 3
    assert all(session.script[-1] == Close() for workload in made for session in workload.sessions)
