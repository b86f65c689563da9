"""`verify --schemas DIR`: what a folder of JSON Schemas judges, and every mistake in one that must not pass."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from contracts import contract
from tapes import write

from goldentape.cli import main
from goldentape.commands.finding import read_contracts
from verifier.schemas import NEWEST

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
ORDER = {"type": "object", "required": ["dish"], "properties": {"dish": {"type": "string"}}}
CONTRACT = contract(
    "{kind: never, event: $close}", events="events: {order: {dir: c2s}, done: {}}", spans="", keys="", schemas=""
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> None:
    """A directory with a contract, a tape and a folder of one schema."""
    monkeypatch.chdir(tmp_path)
    Path("schemas").mkdir()
    Path("c.yaml").write_text(CONTRACT)
    put("order.json", ORDER)
    write(Path("t.tape"), 'alice > {"type": "order", "dish": "pie"}', 'alice < {"type": "done"}')


def put(name: str, schema: object) -> None:
    path = Path("schemas", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(schema if isinstance(schema, str) else json.dumps(schema, indent="\t"))


@pytest.fixture
def run(capsys):
    def run(*arguments: str, folder: str = "schemas") -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["verify", "t.tape", "--contract", "c.yaml", "--schemas", folder, *arguments])
        return int(ended.value.code), *capsys.readouterr()

    return run


def test_a_schema_is_that_of_the_event_after_which_its_file_is_named(run):
    code, out, _ = run()

    assert code == 0
    assert "ok       schema-order" in out

    put("order.json", {**ORDER, "required": ["dish", "table"]})
    assert "'table' is a required property" in run()[1]


def good(**files: object) -> None:
    for name, schema in files.items():
        put(name.replace("__", "/") + ".json", schema)


def test_files_refer_to_each_other_and_to_parts_of_each_other(run):
    good(
        order={"$ref": "types/dish.json#/$defs/order"},
        types__dish={"$defs": {"order": {"properties": {"dish": {"$ref": "../name.json"}}}}},
        name={"type": "string", "maxLength": 3},
    )
    assert run()[0] == 0
    put("name.json", {"type": "string", "maxLength": 2})

    code, out, _ = run()

    assert code == 0  # what a client says badly warns
    assert "order at #3 is not valid at /dish: 'pie' is too long" in out


def test_a_contract_refers_to_files_of_the_folder(run):
    text = CONTRACT.replace("done: {}", 'done: {schema: {$ref: "answers/done.json#/definitions/done"}}')
    Path("c.yaml").write_text(text.replace("{kind: never, event: $close}", "{kind: schema}"))
    put("answers/done.json", {"definitions": {"done": {"required": ["id"]}}})
    code, out, _ = run()

    assert code == 1
    assert "'id' is a required property" in out
    assert "FAIL     a " in out
    assert "ok       schema-order" in out


def test_a_schema_that_no_message_meets_is_vacuous(run):
    Path("c.yaml").write_text(CONTRACT.replace("{kind: never, event: $close}", "{kind: count, event: done, min: 1}"))
    assert run()[0] == 0
    Path("c.yaml").write_text(Path("c.yaml").read_text().replace("done: {}", "done: {}, paid: {}"))
    put("paid.json", {"required": ["sum"]})

    code, out, _ = run()

    assert code == 4
    assert "VACUOUS" in out.upper()
    assert "schema-paid" in out


def test_a_draft_is_that_of_its_file(run):
    put("order.json", {"$schema": DRAFT_7, "properties": {"dish": {"items": [{"type": "number"}]}}})
    put("done.json", {"$schema": NEWEST, "prefixItems": [True]})

    assert run()[0] == 0
    [read] = read_contracts(["c.yaml"], {}, schemas=Path("schemas"))
    assert read.events["order"].schema["$schema"] == DRAFT_7


def test_the_digest_of_the_contract_is_of_the_schemas_too():
    before = read_contracts(["c.yaml"], {}, schemas=Path("schemas"))[0].digest
    put("order.json", {})

    assert read_contracts(["c.yaml"], {}, schemas=Path("schemas"))[0].digest != before


def refused(run, *arguments: str, folder: str = "schemas") -> str:
    code, out, err = run(*arguments, folder=folder)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "Traceback" not in err
    return err.removeprefix("goldentape: error: ").removesuffix("\n")


def test_41_a_folder_that_is_none_or_empty(run):
    assert refused(run, folder="nowhere") == (
        "nowhere: there is no such directory, wanted a directory of JSON Schemas"
    )  # fmt: skip
    assert "there is no such directory" in refused(run, folder="c.yaml")
    Path("empty").mkdir()
    Path("empty/readme.txt").write_text("x")
    assert refused(run, folder="empty") == (
        "empty: no schema is in the directory, wanted *.yaml or *.yml or *.json"
    )  # fmt: skip


BROKEN = [
    ("42 not JSON", "{\n \"type\": \"object\",\n \"required\" [\"a\"]}", "schemas/order.json:3:13: not JSON: "),
    ("42 cut short", '{"type": ', "schemas/order.json:1:10: not JSON"),
    ("42 empty", "", "schemas/order.json:1:1: not JSON"),
    ("42 two of them", "{} {}", "schemas/order.json:1:4: not JSON"),
    ("42 no number", '{"maximum": NaN}', "schemas/order.json:1:1: not JSON: NaN is no number"),
    ("42 a key twice", '{"type": "object", "type": "array"}', "schemas/order.json:1:20: a key comes twice"),
    ("42 a list", "[]", "schemas/order.json:1:1: "),
    ("42 a text", '"object"', "schemas/order.json:1:1: "),
    ("42 UTF-16", "\ufeff{}", "schemas/order.json:1:1: "),
    ("43 a type that is none", {"type": "strnig"}, "schemas/order.json:2:2: not a JSON Schema, at /type"),
    ("43 a type that is a number", {"properties": {"a": {"type": 3}}}, "at /properties/a/type"),
    ("43 required that is a text", {"required": "dish"}, "at /required"),
    ("43 a negative length", {"properties": {"dish": {"maxLength": -1}}}, "at /properties/dish/maxLength"),
    ("43 properties that are a list", {"properties": ["dish"]}, "at /properties"),
    ("43 a schema that is a number", {"properties": {"dish": 3}}, "at /properties/dish"),
    ("43 an empty anyOf", {"anyOf": []}, "at /anyOf"),
    ("43 enum that is a text", {"enum": "a"}, "at /enum"),
    ("44 another draft", {"$schema": "http://json-schema.org/draft-04/schema#"}, "unknown $schema, found http://json"),
    ("44 no draft", {"$schema": "https://example.org/x"}, "unknown $schema, found https://example.org/x"),
    ("44 a number", {"$schema": 7}, "unknown $schema"),
    ("45 a misspelt keyword", {"requird": ["dish"]}, "unknown keyword, found requird: did you mean required?"),
    ("45 one inside", {"properties": {"dish": {"minLenght": 2}}}, "order.json:4:4: unknown keyword, found minLenght"),
    ("45 another's keyword", {"properties": {"dish": {"nullable": True}}}, "unknown keyword, found nullable"),
    ("45 a keyword of another case", {"AdditionalProperties": False}, "did you mean additionalProperties?"),
    ("46 a remote reference", {"$ref": "https://example.org/s.json"}, "remote references are disabled"),
    ("46 a file URL", {"$ref": "file:///etc/passwd"}, "remote references are disabled"),
    ("46 one without scheme", {"$ref": "//example.org/s.json"}, "remote references are disabled"),
    ("46 an id that would be one", {"$id": "https://example.org/", "$ref": "a.json"}, ""),
    ("46 out of the folder", {"$ref": "../c.yaml"}, "a reference leaves the folder of the document, found ../c.yaml"),
    ("46 an absolute path", {"$ref": "/etc/passwd"}, "a reference leaves the folder"),
    ("47 a missing file", {"$ref": "dish.json"}, "schemas/order.json:2:2: there is no such file, found dish.json"),
    ("47 a missing pointer", {"$defs": {"dish": {}}, "$ref": "#/$defs/dihs"}, "the reference names nothing"),
    ("47 a list without that item", {"anyOf": [{}], "$ref": "#/anyOf/1"}, "the reference names nothing"),
    ("47 an anchor", {"$ref": "#dish"}, "a reference ends in a JSON pointer"),
    ("48 a circle of one", {"$ref": "#"}, "references in a circle"),
    ("48 a circle of two", {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
     "references in a circle"),
    ("48 a circle through allOf", {"allOf": [{"$ref": "#"}]}, "references in a circle"),
    ("49 no regular expression", {"properties": {"dish": {"pattern": "["}}}, "at /properties/dish/pattern"),
    ("49 one that takes for ever", {"properties": {"dish": {"pattern": "^(a+)+$"}}}, "for ever"),
    ("49 of names", {"patternProperties": {"(a|a)*b": True}}, "for ever"),
    ("a format that is none", {"properties": {"dish": {"format": "emial"}}}, "unknown format, found emial"),
]  # fmt: skip


@pytest.mark.parametrize("schema, what", [pytest.param(*row[1:], id=row[0]) for row in BROKEN])
def test_a_schema_with_a_mistake_never_passes(run, schema, what):
    put("order.json", schema)

    said = refused(run)

    assert what in said
    assert said.startswith("schemas/order.json:")


def test_a_mistake_in_a_file_that_nothing_needs_yet_is_a_mistake(run):
    put("order.json", {"properties": {"dish": {"$ref": "deep/dish.json"}}})
    put("deep/dish.json", {"typ": "string"})

    assert refused(run).startswith("schemas/deep/dish.json:2:2: unknown keyword, found typ: did you mean type?")


def test_50_a_schema_that_could_meet_no_message_is_refused_with_the_nearest_event(run):
    put("ordre.json", {"required": ["table"]})

    assert refused(run) == (
        "schemas/ordre.json: the schema names no event of the contract, and nothing refers to it, found ordre:"
        " did you mean order?"
    )  # fmt: skip


def test_an_event_that_refers_to_its_file_itself_has_one_schema(run):
    Path("c.yaml").write_text(CONTRACT.replace("{dir: c2s}", '{dir: c2s, schema: {$ref: "order.json"}}'))
    assert run()[0] == 0
    assert "no invariant of the kind `schema` judges the schema of order" in run()[1]


def test_an_event_has_one_schema(run):
    Path("c.yaml").write_text(CONTRACT.replace("{dir: c2s}", "{dir: c2s, schema: {}}"))

    assert "c.yaml:7:28: the event has a schema of its own, found schemas/order.json" in refused(run)


def test_drafts_do_not_mix_in_one_schema(run):
    put("order.json", {"$schema": DRAFT_7, "properties": {"dish": {"$ref": "dish.json"}}})
    put("dish.json", {"$schema": NEWEST})

    assert "two drafts" in refused(run)


def test_nothing_is_read_through_a_link_out_of_the_folder(run, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "dish.json"
    outside.write_text("{}")
    put("order.json", {"$ref": "dish.json"})
    Path("schemas/dish.json").symlink_to(outside)

    assert "outside of the folder" in refused(run)


def test_nothing_is_fetched(run):
    with socket.create_server(("127.0.0.1", 0)) as server:
        put("order.json", {"$ref": f"http://127.0.0.1:{server.getsockname()[1]}/s.json"})
        assert "remote references are disabled" in refused(run)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_contract_that_names_a_file_wants_the_folder(capsys):
    Path("c.yaml").write_text(CONTRACT.replace("{dir: c2s}", '{dir: c2s, schema: {$ref: "order.json"}}'))
    with pytest.raises(SystemExit):
        main(["verify", "t.tape", "--contract", "c.yaml"])

    assert "remote references are disabled, found order.json: copy the schema under `schemas`, or name its folder with"
    assert "--schemas" in capsys.readouterr().err


def test_yaml_is_read_too_and_json_with_tabs(run):
    Path("schemas/order.json").unlink()
    put("order.yaml", "type: object\nrequired: [dish]\n")
    put("done.json", '{\n\t"type":\t"object"\n}\n')

    assert run()[0] == 0
    assert "schema-done" in run()[1]
