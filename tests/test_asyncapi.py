"""AsyncAPI 3 documents as contracts: on real tapes, good and bad, and what is refused with its place."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from tapes import write

from goldentape.cli import main
from goldentape.commands.finding import read_contracts
from goldentape.errors import GoldentapeError
from goldentape.tape import open_tape
from verifier.check import verify
from verifier.dump import dump
from verifier.history import Source
from verifier.load import load
from verifier.resolve import resolved

LOBBY = """\
asyncapi: 3.0.0
info: {title: Game lobby, version: 2.1.0}
defaultContentType: application/json
servers:
  prod: {host: lobby.example.org, protocol: wss}
channels:
  lobby:
    address: /lobby
    messages:
      join: {$ref: "#/components/messages/join"}
      joined: {$ref: "#/components/messages/joined"}
      refused: {$ref: "#/components/messages/refused"}
      moved: {$ref: "#/components/messages/moved"}
    bindings:
      ws:
        query:
          type: object
          required: [token]
          properties: {token: {type: string, minLength: 3}, room: {type: integer, maximum: 99}}
        headers: {type: object, required: [HOST], properties: {HOST: {const: x}}}
operations:
  joinLobby:
    action: receive
    channel: {$ref: "#/channels/lobby"}
    messages: [{$ref: "#/channels/lobby/messages/join"}]
    reply:
      channel: {$ref: "#/channels/lobby"}
      messages:
        - $ref: "#/channels/lobby/messages/joined"
        - $ref: "#/channels/lobby/messages/refused"
  tellMoves:
    action: send
    channel: {$ref: "#/channels/lobby"}
    messages: [{$ref: "#/channels/lobby/messages/moved"}]
components:
  messageTraits:
    request:
      summary: of every request
      correlationId: {location: "$message.payload#/request/id"}
  messages:
    join:
      traits: [{$ref: "#/components/messageTraits/request"}]
      payload: {$ref: "#/components/schemas/Join"}
      examples: [{payload: {kind: join, at: 2020-01-01T00:00:00Z}}]
    joined:
      traits: [{$ref: "#/components/messageTraits/request"}]
      payload: {$ref: "./types/players.yaml#/Joined"}
    refused:
      traits: [{$ref: "#/components/messageTraits/request"}]
      payload:
        schemaFormat: application/schema+json;version=draft-07
        schema:
          type: object
          required: [kind, request, why]
          properties:
            kind: {const: refused}
            request: {$ref: "#/components/schemas/Request"}
            why: {type: string}
    moved:
      payload:
        type: object
        required: [kind, player, to]
        properties:
          kind: {const: moved}
          player: {type: string, externalDocs: {url: "https://example.org"}}
          to: {type: array, items: [{type: integer, format: int32}, {type: integer}], minItems: 2}
  schemas:
    Request: {type: object, required: [id], properties: {id: {type: string}}}
    Join:
      type: object
      required: [kind, request]
      properties: {kind: {const: join}, request: {$ref: "#/components/schemas/Request"}}
"""
PLAYERS = """\
Joined:
  type: object
  required: [kind, request, players]
  properties:
    kind: {enum: [joined, rejoined]}
    request: {$ref: "../lobby.yaml#/components/schemas/Request"}
    players: {type: array, items: {$ref: "#/Player"}}
Player: {type: object, properties: {name: {type: string}, friends: {type: array, items: {$ref: "#/Player"}}}}
"""
# Sensors of street lights over one WebSocket: no payload says what it is; what it is valid against does.
LIGHTS = """\
asyncapi: 3.0.0
info: {title: Streetlights, version: "1.0"}
channels:
  lights:
    address: /
    messages:
      measured:
        payload:
          type: object
          required: [lumens, sentAt]
          properties: {lumens: {type: integer, minimum: 0}, sentAt: {type: string, format: date-time}}
      faulty:
        payload: {type: object, required: [fault], properties: {fault: {type: string}}}
      turn:
        payload: {type: object, required: [command], properties: {command: {enum: ["on", "off"]}}}
operations:
  tell:
    action: send
    channel: {$ref: "#/channels/lights"}
    messages: [{$ref: "#/channels/lights/messages/measured"}, {$ref: "#/channels/lights/messages/faulty"}]
  turn:
    action: receive
    channel: {$ref: "#/channels/lights"}
    messages: [{$ref: "#/channels/lights/messages/turn"}]
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> None:
    """A directory with the documents."""
    monkeypatch.chdir(tmp_path)
    Path("types").mkdir()
    Path("types/players.yaml").write_text(PLAYERS)
    Path("lobby.yaml").write_text(LOBBY)
    Path("lights.yaml").write_text(LIGHTS)


def say(who: str, **message: object) -> str:
    return f"{who} {json.dumps(message)}"


CONNECTS = "alice connects /lobby?token=abc&room=7"


def judged(contract: str, *sentences: str, perspective: str | None = None) -> dict[str, list[str]]:
    """What each invariant that fails says; those that fail by the client's fault have `client:` before."""
    [read] = read_contracts([contract], {}, perspective=perspective)
    if " connects " not in sentences[0] and sentences[0].startswith("alice"):
        sentences = (CONNECTS, *sentences)
    path = write(Path("t.tape"), *sentences)
    with open_tape(path) as tape:
        verdict = verify(read, Source.of(tape, None))
    path.unlink()
    assert not any(o.tally.errors for o in verdict.outcomes)
    return {
        o.name: [("client: " if g.first[0].fault == "client" else "") + g.first[0].why for g in o.groups]
        for o in verdict.outcomes
        if o.groups
    }


JOIN = say("alice >", kind="join", request={"id": "1"})
JOINED = say("alice <", kind="joined", request={"id": "1"}, players=[{"name": "x", "friends": [{"name": "y"}]}])
MOVED = say("alice <", kind="moved", player="x", to=[1, 2])
LOST = ("alice < (close 1011)", "alice ends")

GOOD = [
    (JOIN, JOINED, MOVED),
    (JOIN, say("alice <", kind="refused", request={"id": "1"}, why="full"), *LOST),
    (JOIN, say("alice <", kind="rejoined", request={"id": "1"}, players=[])),
    (MOVED, MOVED),
]


@pytest.mark.parametrize("sentences", GOOD)
def test_what_the_document_allows_is_no_violation(sentences):
    assert judged("lobby.yaml", *sentences) == {}


BAD = [
    ("a field of another type, two files away",
     [JOIN, say("alice <", kind="joined", request={"id": "1"}, players=[{"friends": [{"name": 3}]}])],
     {"asyncapi-shapes": "not valid at /players/0/friends/0/name"}),
    ("a place in a list", [say("alice <", kind="moved", player="x", to=[1, "2"])], {"asyncapi-shapes": "at /to/1"}),
    ("a missing field", [say("alice <", kind="moved", player="x")], {"asyncapi-shapes": "'to' is a required"}),
    ("a message of no channel", [say("alice <", kind="mooved")], {"wire.unknown": "type mooved"}),
    ("no kind at all", [say("alice <", player="x", to=[1, 2])], {"wire.unknown": "no event"}),
    ("the server says what is the client's", [JOIN.replace(">", "<")], {"wire.unknown": "type join"}),
    ("the client says what is the server's", [MOVED.replace("<", ">", 1)], {"wire.unknown": "client's message"}),
    ("no reply", [JOIN, *LOST], {"asyncapi-reply-join-lobby": "never answered by joined or refused"}),
    ("another's reply", [JOIN, JOINED.replace('"1"', '"2"'), *LOST], {"asyncapi-reply-join-lobby": "never answered"}),
    ("what the client says badly", [say("alice >", kind="join", request={}), JOINED],
     {"asyncapi-shapes": "client: join at #3 is not valid at /request"}),
]  # fmt: skip


@pytest.mark.parametrize("sentences, wanted", [pytest.param(*row[1:], id=row[0]) for row in BAD])
def test_what_the_document_does_not_allow_is_a_violation(sentences, wanted):
    found = judged("lobby.yaml", *sentences)

    assert found.keys() == wanted.keys()
    for name, what in wanted.items():
        assert what in found[name][0]


@pytest.mark.parametrize(
    "handshake, what",
    [
        ("/lobby?token=abc&room=7", None),
        ("/lobby?token=abc&room=100", "not valid at /query/room: 100 is greater"),
        ("/lobby?token=abc&room=x", "not valid at /query/room: 'x' is not of type 'integer'"),
        ("/lobby?token=a", "not valid at /query/token"),
        ("/lobby?room=7", "not valid at /query: 'token' is a required property"),
        ("/lobby", "not valid at /query"),
    ],
)
def test_the_handshakes_query_and_headers_are_judged(handshake, what):
    found = judged("lobby.yaml", f"alice connects {handshake}", MOVED)

    assert found.keys() == ({"asyncapi-handshake"} if what else set())
    if what:
        assert what in found["asyncapi-handshake"][0]
        assert found["asyncapi-handshake"][0].startswith("client: ")  # and only warns


def test_a_header_that_is_missing_is_named():
    Path("lobby.yaml").write_text(LOBBY.replace("HOST", "X-Client"))

    assert judged("lobby.yaml", MOVED)["asyncapi-handshake"] == [
        "client: handshake at (connect) is not valid at /headers: 'X-Client' is a required property"
    ]


def test_the_clients_document_has_the_directions_the_other_way_round():
    assert judged("lobby.yaml", say("alice >", kind="moved", player="x", to=[1, 2]), perspective="client") == {}
    assert judged("lobby.yaml", MOVED, perspective="client").keys() == {"wire.unknown"}


LIGHT = say("bob <", lumens=3, sentAt="2026-01-01T00:00:00Z")


def test_where_nothing_else_tells_messages_apart_each_is_valid_against_one():
    assert judged("lights.yaml", LIGHT, say("bob <", fault="cable"), say("bob >", command="on")) == {}


@pytest.mark.parametrize(
    "sentence, what",
    [
        (
            say("bob <", lumens=-3, sentAt="2026-01-01T00:00:00Z"),
            "valid against none of 2 schemas; of the nearest, number 1, at",
        ),
        (say("bob <", lumens=3, sentAt="yesterday"), "valid against none of 2 schemas; of the nearest, number 1, at"),
        (
            say("bob <", lumens=3, sentAt="2026-01-01T00:00:00Z", fault="cable"),
            "valid against more than one of 2 schemas",
        ),
        (say("bob <", command="on"), "valid against none of 2 schemas"),
        (say("bob >", command="up"), "client: "),
    ],
)
def test_and_only_one(sentence, what):
    found = judged("lights.yaml", LIGHT, sentence)

    assert what in found["asyncapi-shapes"][0]


CONTRACT = """\
goldentape: 1
contract: {id: mine, version: "1.0.0"}
asyncapi: {file: api/lobby.yaml}
events:
  moved: {where: {player: x}}
invariants:
  once: {kind: count, event: joined, max: 1}
"""


@pytest.fixture
def mine() -> None:
    """A contract that takes its events from a document in a folder."""
    Path("api").mkdir()
    Path("lobby.yaml").rename("api/lobby.yaml")
    Path("types").rename("api/types")
    Path("mine.yaml").write_text(CONTRACT)


def test_a_contract_takes_events_from_a_document_and_adds_to_them(mine):
    assert judged("mine.yaml", JOIN, JOINED, MOVED) == {}
    assert "once" in judged("mine.yaml", JOIN, JOINED, JOINED)
    assert "asyncapi-shapes" in judged("mine.yaml", say("alice <", kind="moved", player="x", to=[]))
    assert "wire.unknown" in judged("mine.yaml", say("alice <", kind="moved", player="y", to=[1, 2]))


def test_a_violation_names_the_file_in_which_its_invariant_stands(mine):
    [read] = read_contracts(["mine.yaml"], {})

    assert read.document.file("invariants", "once") == "mine.yaml"
    assert read.document.file("invariants", "asyncapi-reply-join-lobby") == "api/lobby.yaml"
    assert read.document.line("invariants", "asyncapi-reply-join-lobby") == LOBBY.split("joinLobby")[0].count("\n") + 1


def test_the_digest_of_a_contract_is_of_all_its_files(mine):
    before = read_contracts(["mine.yaml"], {})[0].digest
    Path("api/types/players.yaml").write_text(PLAYERS.replace("friends", "foes"))

    assert read_contracts(["mine.yaml"], {})[0].digest != before


@pytest.mark.parametrize("replies, severity", [("warning", "warning"), ("error", "error"), ("ignore", None)])
def test_a_contract_says_how_severe_a_missing_reply_is(mine, replies, severity):
    Path("mine.yaml").write_text(CONTRACT.replace("lobby.yaml}", f"lobby.yaml, replies: {replies}}}"))

    [read] = read_contracts(["mine.yaml"], {})

    found = read.invariants.get("asyncapi-reply-join-lobby")
    assert (found.severity if found is not None else None) == severity


@pytest.mark.parametrize("name", ["lobby.yaml", "lights.yaml"])
def test_a_document_resolved_judges_the_same(name):
    [read] = read_contracts([name], {})
    Path("resolved.yaml").write_text(dump(resolved(read)))

    for sentences in ([JOIN, JOINED], [MOVED, MOVED.replace("2]", '"2"]')], [LIGHT, say("bob <", lumens=-1)]):
        assert judged("resolved.yaml", *sentences) == judged(name, *sentences)


def test_two_channels_are_told_apart_by_their_addresses():
    text = LOBBY.replace("operations:", """\
  game:
    address: /game/{id}
    messages:
      moved:
        payload: {required: [kind, dice], properties: {kind: {const: moved}, dice: {type: integer}}}
operations:
  tellDice: {action: send, channel: {$ref: "#/channels/game"}}""", 1)  # fmt: skip
    Path("lobby.yaml").write_text(text)
    dice = say("bob <", kind="moved", dice=3)

    assert judged("lobby.yaml", "bob connects /game/7?x=1", dice) == {}
    assert "wire.unknown" not in judged("lobby.yaml", "bob connects /game/7", dice.replace("3", '"3"'))
    assert "asyncapi-shapes" in judged("lobby.yaml", "bob connects /game/7", dice.replace("3", '"3"'))
    assert "wire.unknown" in judged("lobby.yaml", "bob connects /elsewhere", dice)
    assert "asyncapi-shapes" in judged("lobby.yaml", "bob connects /lobby?token=abc", dice)
    [read] = read_contracts(["lobby.yaml"], {})
    assert read.events["moved"].dir == read.events["game.moved"].dir


MESSAGES = 'messages: [{$ref: "#/channels/lobby/messages/moved"}]'
REQUEST = 'kind: {const: join}, request: {$ref: "#/components/schemas/Request"'
FILE = "./types/players.yaml"
REFUSED = [
    ("version 2", "3.0.0", "2.6.0", "lobby.yaml:1:1: AsyncAPI 2 is not read", "convert"),
    ("version 4", "3.0.0", "4.0.0", "lobby.yaml:1:1: another version", "wanted 3.0.0"),
    ("a number as version", "3.0.0", "3.0", "lobby.yaml:1:1: another version", "wanted 3.0.0"),
    ("a misspelt section", "\nchannels:", "\nchanels:", "lobby.yaml:6:1: ", "did you mean channels?"),
    ("a misspelt payload", "payload: {$ref: \"#", "paylod: {$ref: \"#", "such field, found paylod", "payload?"),
    ("a misspelt action", "action: send", "action: sned", "found sned", "send or receive"),
    ("avro", "schema+json;version=draft-07", "vnd.apache.avro;version=1.9.0", "only payloads in JSON", ""),
    ("an older draft", "version=draft-07", "version=draft-04", "only payloads in JSON Schema", "draft-07"),
    ("text", "Type: application/json", "Type: text/plain", "lobby.yaml:3:1: payloads of this content", "text/plain"),
    ("headers", "summary: of every", "headers: {}\n      summary: of", "have no headers", "into the payload"),
    ("kafka", "protocol: wss", "protocol: kafka", "no channel is of a server that speaks ws", ""),
    ("a header as correlation", "$message.payload#/request/id", "$message.header#/id", "stands in the payload", ""),
    ("no such message", MESSAGES, MESSAGES.replace("moved", "mvoed"), "the reference names nothing", "moved?"),
    ("a message past the channel", MESSAGES, 'messages: [{$ref: "#/components/schemas/Join"}]',
     "not a message of the channel lobby", ""),
    ("a misspelt keyword", "minItems: 2", "minItem: 2", "unknown keyword, found minItem", "minItems?"),
    ("a misspelt format", "format: int32", "format: date-tiem", "unknown format, found date-tiem", "date-time?"),
    ("words beside a reference", REQUEST, f"{REQUEST}, required: [x]", "ignores what", "allOf"),
    ("a schema that is none", "minItems: 2", "minItems: two", "not a JSON Schema, at ", ""),
    ("a slow pattern", "player: {type: string,", "player: {pattern: (a+)+$,", "for ever", ""),
    ("a reference over the network", FILE, "https://example.org/p.yaml", "remote references are disabled", "https://"),
    ("a reference to a file URL", FILE, "file:///etc/passwd", "remote references are disabled", ""),
    ("a reference without a scheme", FILE, "//example.org/p", "remote references are disabled", ""),
    ("an absolute path", FILE, "/etc/passwd", "leaves the folder", "/etc/passwd"),
    ("a path out of the folder", FILE, "types/../../x.yaml", "leaves the folder", ""),
    ("a path out, in disguise", FILE, "%2e%2e/x.yaml", "leaves the folder", ""),
    ("no such file", FILE, "types/player.yaml", "there is no such file", "player.yaml"),
    ("no such pointer", "players.yaml#/Joined", "players.yaml#/Jioned", "the reference names nothing", "Joined?"),
    ("a circle", "    Request: {", "    Request: {$ref: '#/components/schemas/Request'}\n    R2: {", "circle", ""),
]  # fmt: skip
NONE = [
    ("nothing to judge", "channels: {a: {messages: {b: {}}}}", "nothing would be judged"),
    ("no messages", "channels: {a: {}}", "nothing would be judged"),
    ("no channels", "info: {}", "nothing would be judged"),
    ("a list of channels", "channels: [1]", "lobby.yaml:2:1: a value of another type, wanted a mapping"),
    ("a channel that is a text", "channels: {a: b}", "lobby.yaml:2:12: a value of another type"),
    ("a message that is a text", "channels: {a: {messages: {b: c}}}", "lobby.yaml:2:27: a value of another type"),
    ("a payload that is a text", "channels: {a: {messages: {b: {payload: c}}}}", "lobby.yaml:2:31: "),
    ("servers that are a list", "servers: [1]\nchannels: {a: {}}", "lobby.yaml:2:1: a value of another type"),
]


def refusal(name: str) -> str:
    with pytest.raises(GoldentapeError) as caught:
        read_contracts([name], {})
    said = str(caught.value)
    assert "\n" not in said
    assert caught.value.exit_code == 2
    return said


@pytest.mark.parametrize("old, new, what, more", [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_what_cannot_be_read_is_refused_with_its_place_and_the_reason(old, new, what, more):
    assert old in LOBBY
    Path("lobby.yaml").write_text(LOBBY.replace(old, new, 1))

    said = refusal("lobby.yaml")

    assert what in said
    assert more in said
    assert said.startswith("lobby.yaml:")


@pytest.mark.parametrize("text, what", [pytest.param(*row[1:], id=row[0]) for row in NONE])
def test_a_document_that_says_nothing_is_refused(text, what):
    Path("lobby.yaml").write_text(f"asyncapi: 3.0.0\n{text}\n")

    assert what in refusal("lobby.yaml")


def test_an_error_in_another_file_is_told_with_that_files_place():
    Path("types/players.yaml").write_text(PLAYERS.replace("type: array, items", "tpye: array, items", 1))

    assert refusal("lobby.yaml").startswith("types/players.yaml:7:15: unknown keyword, found tpye: did you mean type?")


def test_nothing_is_read_through_a_link_out_of_the_folder(tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "players.yaml"
    outside.write_text(PLAYERS)
    Path("types/players.yaml").unlink()
    Path("types/players.yaml").symlink_to(outside)

    assert "the file is outside of the folder" in refusal("lobby.yaml")


def test_a_link_inside_of_the_folder_is_followed():
    Path("types/players.yaml").rename("real.yaml")
    Path("types/players.yaml").symlink_to("../real.yaml")

    assert judged("lobby.yaml", JOIN, JOINED) == {}


def test_a_remote_reference_is_refused_without_a_connection():
    with socket.create_server(("127.0.0.1", 0)) as server:
        Path("lobby.yaml").write_text(LOBBY.replace("./types", f"http://127.0.0.1:{server.getsockname()[1]}"))
        assert "remote references are disabled" in refusal("lobby.yaml")
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_document_that_refers_to_itself_ten_thousand_deep_is_one_line():
    schemas = "".join(f"    s{n}: {{items: {{$ref: '#/components/schemas/s{n + 1}'}}}}\n" for n in range(10_000))
    Path("lobby.yaml").write_text(
        "asyncapi: 3.0.0\nchannels: {a: {messages: {b: {payload: {$ref: '#/components/schemas/s0'}}}}}\n"
        f"components:\n  schemas:\n{schemas}    s10000: true\n"
    )

    assert "nested too deeply" in refusal("lobby.yaml")


@pytest.mark.parametrize(
    "section, what",
    [
        ("{}", "mine.yaml:3:1: `file` is missing"),
        ("{fiel: a}", "mine.yaml:3:"),
        ("{file: nowhere.yaml}", "mine.yaml:3:12: there is no such file, found nowhere.yaml"),
        ("{file: api/lobby.yaml, channels: looby}", "no such channel, found looby: did you mean lobby?"),
        ("{file: api/lobby.yaml, perspective: sever}", "did you mean server?"),
        ("3.0.0", "mine.yaml:3:1: "),
    ],
)
def test_a_section_that_names_no_document_is_refused(mine, section, what):
    Path("mine.yaml").write_text(CONTRACT.replace("{file: api/lobby.yaml}", section))

    assert what in refusal("mine.yaml")


def run(*arguments: str, capsys) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    return int(ended.value.code), capsys.readouterr().out


def test_the_commands_take_a_document_in_place_of_a_contract(capsys):
    write(Path("t.tape"), "bob connects /", LIGHT, say("bob <", fault="cable"), say("bob >", command="on"))

    assert run("verify", "t.tape", "--contract", "lights.yaml", capsys=capsys)[0] == 0
    assert run("verify", "t.tape", "--contract", "lights.yaml", "--perspective", "client", capsys=capsys)[0] == 1
    assert run("contract", "lint", "lobby.yaml", "lights.yaml", "--strict", capsys=capsys) == (0, "")
    code, out = run("contract", "show", "lobby.yaml", capsys=capsys)
    assert code == 0
    assert load(out.encode(), "c").value["contract"]["id"] == "game-lobby"
