"""What is learned from a tape: which of a client's values came from the server."""

import json

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapes import tape

from goldentape.errors import InputError
from goldentape.event import Opcode
from verifier.correlate import Unanswered, learn, substituted
from verifier.document import read, read_handshake, target_of
from verifier.mapping import parse_rules
from verifier.places import Missing, at, edited, leaves
from verifier.script import Script, Step


def script(*sentences: str, maps: tuple[str, ...] = (), actor: str | None = None) -> Script:
    with tape(*sentences) as opened:
        recording = learn(opened.connections(), opened.events(), parse_rules(maps))
    return recording.script(actor) if actor else recording.scripts[0]


def used(step: Step) -> dict:
    """What a step's values are, by their place; with the token where it is in a text."""
    return {(*use.place, use.value): [(s.event, s.ordinal, s.place) for s in use.sources[:1]] for use in step.uses}


def last(*sentences: str, **options) -> dict:
    return used(script(*sentences, **options).steps[-1])


def live(found: Script, *payloads: str):
    """Substitute the last step, where the live server said `payloads` in place of what it had said."""
    said = [answer for answer in found.answers if answer.kind == "say"]
    values = {a.index: read(Opcode.TEXT, p.encode()).value for a, p in zip(said, payloads, strict=True)}

    def of(source):
        if source.index not in values:
            raise Missing
        return values[source.index]

    step = found.steps[-1]
    return step.document.written(substituted(step, of, lambda use: use.rule.word)).decode()


def test_an_id_the_server_gave_is_found_where_the_client_says_it_again():
    assert last('a < {"type":"started","run":{"id":"run-7f3a"}}', 'a > {"type":"cancel","target":"run-7f3a"}') == {
        ("target", "run-7f3a"): [("started", 0, ("run", "id"))]
    }


@pytest.mark.parametrize(
    "client",
    ['{"type":"x","deep":[{"er":"run-7f3a"}]}', '{"type":"x","note":"stop run-7f3a, please"}', "STOP run-7f3a"],
    ids=["at any depth", "inside a sentence", "in a text protocol"],
)
def test_an_id_is_found_wherever_it_is(client):
    assert [key[-1] for key in last('a < {"type":"started","id":"run-7f3a"}', f"a > {client}")] == ["run-7f3a"]


def test_an_id_is_found_where_the_server_hid_it_in_a_link():
    found = last(
        'a < {"type":"upload","url":"https://h/files/9f86d081884c7d65?x=1"}', 'a > {"file":"9f86d081884c7d65"}'
    )

    assert list(found) == [("file", "9f86d081884c7d65")]


def test_a_token_is_found_in_the_path_the_query_and_the_headers_of_the_next_connection():
    found = last(
        'a < {"type":"hello","session":"s-4711-xyz","ticket":"tk_99812"}',
        "a ends eof by client",
        "a connects /ws/s-4711-xyz?ticket=tk_99812",
    )

    assert {key[-1] for key in found} == {"s-4711-xyz", "tk_99812"}


@pytest.mark.parametrize("value", ["true", "0", '"ok"', "1", '"yes"', "null", "2", '"error"', "3.5"])
@pytest.mark.parametrize("field", ["value", "flag", "id", "status"])
def test_what_is_said_by_chance_correlates_with_nothing(value, field):
    server = f'a < {{"type":"state","ready":{value},"n":{value},"status":{value}}}'

    assert last(server, f'a > {{"type":"set","{field}":{value}}}') == {}


def test_what_the_client_said_first_is_its_own():
    client = 'a > {"type":"ask","message_id":"m-55120-a"}'

    assert last(client, 'a < {"type":"ack","message_id":"m-55120-a"}', client) == {}


def test_a_clients_own_counter_is_not_the_servers():
    found = script(
        *(f'a < {{"type":"tick","id":{n}}}' for n in range(1, 9)),
        *(f'a > {{"jsonrpc":"2.0","method":"get","id":{n}}}' for n in range(1, 9)),
    )

    assert [step.uses for step in found.steps] == [()] * 9


def test_a_small_number_correlates_where_the_field_is_called_the_same():
    sentences = ('a < {"type":"created","room_id":3}', 'a < {"type":"people","count":3}')

    assert last(*sentences, 'a > {"type":"join","room_id":3}') == {("room_id", 3): [("created", 0, ("room_id",))]}
    assert last(*sentences, 'a > {"type":"join","count":3}') == {}


def test_a_number_that_the_client_says_elsewhere_is_the_servers_all_the_same():
    found = last(
        'a > {"jsonrpc":"2.0","method":"create","id":1}',
        'a < {"jsonrpc":"2.0","result":{"order_id":1},"id":1}',
        'a > {"jsonrpc":"2.0","method":"pay","id":2,"params":{"order_id":1}}',
    )

    assert found == {("params", "order_id", 1): [("result", 0, ("result", "order_id"))]}


def test_what_is_acknowledged_is_the_newest_of_a_number_that_grows():
    ticks = [f'a < {{"type":"tick","n":{n}}}' for n in (4, 5, 6)]

    assert last(*ticks, 'a > {"type":"ack","last":6}') == {("last", 6): [("tick", 2, ("n",))]}
    assert last(*ticks, 'a > {"type":"ack","last":5}') == {}
    assert last(*ticks, 'a < {"type":"tick","n":1}', 'a > {"type":"ack","last":1}') == {}


def test_a_number_in_an_object_is_called_by_both_their_names():
    assert last('a < {"type":"created","room":{"id":3}}', 'a > {"type":"join","roomId":3}') == {
        ("roomId", 3): [("created", 0, ("room", "id"))]
    }


def test_a_short_word_correlates_only_if_the_client_says_nothing_else_there():
    hello = 'a < {"type":"hello","room":"amber"}'

    assert last(hello, 'a > {"type":"join","room":"amber"}') == {("room", "amber"): [("hello", 0, ("room",))]}
    assert last(hello, 'a > {"type":"join","room":"blue"}', 'a > {"type":"join","room":"amber"}') == {}


def test_what_a_server_asks_by_json_rpc_is_answered_with_its_id():
    assert last('a < {"jsonrpc":"2.0","method":"roots","id":1}', 'a > {"jsonrpc":"2.0","result":[],"id":1}') == {
        ("id", 1): [("roots", 0, ("id",))]
    }


def test_socket_io_and_graphql_correlate():
    io = last("a connects /socket.io/?EIO=4", 'a < 42["made",{"room":"r-10293"}]', 'a > 42["join","r-10293"]')
    gql = last(
        'a < {"type":"next","id":"1","payload":{"data":{"made":{"id":"T3JkZXI6MTc"}}}}',
        'a > {"type":"subscribe","id":"2","payload":{"variables":{"order":"T3JkZXI6MTc"}}}',
    )

    assert io == {("args", 0, "r-10293"): [("made", 0, ("args", 0, "room"))]}
    assert gql == {("payload", "variables", "order", "T3JkZXI6MTc"): [("next", 0, ("payload", "data", "made", "id"))]}


def test_message_pack_correlates_and_is_written_again():
    server = msgpack.packb({"type": "made", "id": "run-7f3a"}).hex()
    client = msgpack.packb({"type": "stop", "id": "run-7f3a", "raw": b"\x00\xff", "f": 1.5})
    found = script(f"a < 0x{server}", f"a > 0x{client.hex()}")
    step = found.steps[-1]

    value = substituted(step, lambda source: {"type": "made", "id": "run-0001"}, lambda use: None)

    assert msgpack.unpackb(step.document.written(value)) == {
        "type": "stop", "id": "run-0001", "raw": b"\x00\xff", "f": 1.5
    }  # fmt: skip


def test_a_secret_is_known_by_its_placeholder():
    secret = "[r:token:" + "0a" * 16 + "]"

    assert list(last(f'a < {{"session":"{secret}"}}', f'a > {{"auth":"Bearer {secret}"}}')) == [("auth", secret)]
    [use] = script(f'a > {{"auth":"{secret}"}}').steps[-1].uses
    assert not use.known


def test_an_id_that_another_user_was_shown_is_found_there():
    found = script('a < {"type":"invite","code":"INV-88123"}', 'b > {"type":"join","code":"INV-88123"}', actor="b")

    assert [use.sources[0].actor for use in found.steps[-1].uses] == ["a"]


def test_a_gate_is_what_the_user_had_been_shown():
    found = script("a < one", "b < other", "a > first", "a < two", "a < three", "a > second")

    assert [(step.kind, step.seen) for step in found.steps] == [("open", 0), ("send", 2), ("send", 4)]
    assert [answer.document.name for answer in found.answers] == ["handshake 101", "text", "text", "text"]


def test_connections_that_change_hands_belong_to_one_actor():
    with tape("anon > hi", "anon becomes alice", "anon > hello", "alice/2 > second tab", "bob > hi") as opened:
        recording = learn(opened.connections(), opened.events())

    assert [sorted(script.users) for script in recording.scripts] == [["alice", "anon"], ["bob"]]
    assert recording.scripts[0].actor == "alice" and recording.scripts[0].connections == [0, 1]


def test_who_comes_back_with_a_token_of_the_first_connection_is_the_same():
    sentences = (
        "x1 connects / rule=connection",
        'x1 < {"type":"hello","session":"s-4711-xyz"}',
        'x1 < {"type":"opened","ticket":7}',
        "x1 ends eof by client",
        "x2 connects /resume/s-4711-xyz rule=connection",
        'x2 > {"type":"work","ticket":7}',
    )
    found = script(*sentences)

    assert sorted(found.users) == ["x1", "x2"] and used(found.steps[-1]) == {
        ("ticket", 7): [("opened", 0, ("ticket",))]
    }


# -- substitution


def test_a_value_is_replaced_by_what_stands_at_its_place_live_and_nowhere_else():
    found = script(
        'a < {"type":"made","id":"run-7f3a","also":"run-7f3a"}',
        'a > {"id": "run-7f3a", "say": "run-7f3a-not, run-7f3a"}',
    )

    assert live(found, '{"type":"made","id":"run-0001","also":"x"}') == (
        '{"id": "run-0001", "say": "run-7f3a-not, run-0001"}'
    )


def test_a_number_stays_a_number_and_a_text_a_text():
    found = script('a < {"id":8812734,"no":"77123"}', 'a > {"ref":8812734,"in":"room/8812734","no":"77123"}')

    assert live(found, '{"id":55555,"no":"123456"}') == '{"ref":55555,"in":"room/55555","no":"123456"}'


def test_members_whose_names_are_ids_are_found_by_their_position():
    found = script('a < {"runs":{"run-7f3a":{"key":"k-10293"}}}', 'a > {"acks":{"run-7f3a":true},"key":"k-10293"}')

    assert live(found, '{"runs":{"run-0001":{"key":"k-00000"}}}') == '{"acks":{"run-0001":true},"key":"k-00000"}'


def test_what_the_live_server_has_not_said_is_told():
    found = script('a < {"id":"run-7f3a"}', 'a > {"id":"run-7f3a"}')

    with pytest.raises(Unanswered):
        live(found, '{"uid":"run-0001"}')


def test_a_target_is_spelled_as_recorded_but_for_what_changed():
    document = read_handshake("/a%20b/run-7f3a?x=1%2B1&t=run-7f3a", ())

    assert target_of(document, document.value) == "/a%20b/run-7f3a?x=1%2B1&t=run-7f3a"
    changed = edited(document.value, {("query", 1, 1): "run 2"})
    assert target_of(document, changed) == "/a%20b/run-7f3a?x=1%2B1&t=run%202"


# -- --map


def test_a_mapping_tells_where_a_value_comes_from():
    sentences = ('a < {"type":"hi","n":1}', 'a < {"type":"hi","n":2}', 'a > {"type":"go","x":1}')

    assert last(*sentences, maps=("go:x=hi:n",)) == {("x", 1): [("hi", 1, ("n",))]}
    assert live(script(*sentences, maps=("x=value:7",)), "{}", "{}") == '{"type":"go","x":7}'


def test_a_mapping_keeps_what_would_correlate():
    [use] = script('a < {"id":"run-7f3a"}', 'a > {"id":"run-7f3a"}', maps=("id=keep",)).steps[-1].uses
    assert use.rule.kind == "keep" and not use.sources


def test_a_mapping_names_parts_of_a_handshake():
    found = script("a connects /x?token=abc", maps=("@query.token=env:TOKEN",))

    assert [use.rule.word for use in found.steps[0].uses] == ["TOKEN"]


@pytest.mark.parametrize("text", ["", "x", "=y", "x=", "a[=b", "a=b[", "x:=y"])
def test_a_mapping_that_is_none_is_refused(text):
    with pytest.raises(InputError, match="--map"):
        parse_rules([text])


# -- laws


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


@given(VALUES)
def test_every_leaf_is_found_at_its_place(value):
    for place, leaf in leaves(value):
        assert at(value, place) is leaf or at(value, place) == leaf


@given(VALUES, st.booleans())
def test_what_is_not_changed_is_written_as_it_was(value, ascii_only):
    payload = json.dumps({"v": value}, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    document = read(Opcode.TEXT, payload)

    assert document.written(document.value) == payload
    if document.format == "json":
        assert json.loads(document.written(edited(document.value, {("new",): 1}))) == json.loads(payload)


@given(st.binary(max_size=60), st.sampled_from([Opcode.TEXT, Opcode.BINARY]), st.booleans())
def test_no_payload_is_too_odd_to_read(payload, opcode, socket_io):
    document = read(opcode, payload, socket_io=socket_io)

    assert document.written(document.value) == payload
    list(leaves(document.value))
