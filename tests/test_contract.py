"""Reading contracts: whatever is wrong with one is said in one line, with its place and the nearest right word."""

from __future__ import annotations

import socket
from importlib.resources import files

import pytest
from contracts import contract

from verifier.contract import read_contract
from verifier.lint import demand, notes
from verifier.load import ContractError, load
from verifier.params import demand_known, parse_settings


def refusal(text: str | bytes, settings: dict[str, str] | None = None) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ContractError) as caught:
        demand(read_contract(data, "c.yaml", settings))
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 700
    assert said.isprintable()
    return said


def accepted(text: str, settings: dict[str, str] | None = None):
    read = read_contract(text.encode(), "c.yaml", settings)
    demand(read)
    return read


NOT_YAML = [
    ("nothing", b"", "1:1", "a mapping, found nothing"),
    ("a comment", b"# hi\n", "1:1", "found nothing"),
    ("a list", b"- 1\n", "1:1", "found a list"),
    ("a text", b"hello", "1:1", "found a string"),
    ("NUL", b"x: 1\na: \x00", "2:4", "found NUL"),
    ("a control character", b"x: 1\na: \x07", "2:4", "U+0007"),
    ("a tab as indentation", b"a:\n\t- 1", "2:1", "found character"),
    ("not UTF-8", b"x: 1\n# \xff", "2:3", "UTF-8, found byte 0xff"),
    ("a byte order mark", b"\xef\xbb\xbfa: 1", "1:1", "a byte order mark"),
    ("UTF-16", "a: 1".encode("utf-16"), "1:1", "UTF-16"),
    ("an open bracket", b"goldentape: 1\ncontract: {id: x", "2:17", "expected ',' or '}'"),
    ("JSON cut short", b'{"goldentape": 1, ', "1:19", "not YAML"),
    ("an open quote", b'goldentape: "1', "1:15", "unexpected end of stream"),
    ("two documents", contract() + "---\na: 1\n", "10:1", "one YAML document"),
    ("an alias", contract(keys="keys: {run: *a}"), "5:13", "aliases are not read, found *a"),
    ("an anchor", contract(keys="keys: {run: &a x}"), "5:13", "anchors are not read, found &a"),
    ("a merge key", contract(keys="keys: {<<: {a: b}}"), "5:8", "merge keys are not read"),
    ("a billion laughs", b"a: &a [lol, lol]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", "1:4", "anchors are not read"),
    ("a Python tag", contract(keys="keys: !!python/object/apply:os.system {run: a}"), "5:7", "tags are not read"),
    ("a plain tag", contract(keys="keys: {run: !!str a}"), "5:13", "tags are not read"),
    ("a tag of its own", contract(keys="keys: {run: !x a}"), "5:13", "found !x"),
    ("a tag on a key", contract(keys="keys: {!!str run: a}"), "5:8", "neither tag nor anchor"),
    ("a list as key", contract(keys="keys: {[a]: b}"), "5:8", "a key is a word"),
    ("brackets without end", b"[" * 100_000, "1:102", "deeper than 100 levels"),
    ("a deep block", "\n".join(" " * i + "a:" for i in range(300)), "102:102", "deeper than 100 levels"),
    ("4 MiB", b"#" * (5 << 20), "1:1", "at most 4194304"),
    ("a date", contract(params="params: {x: 2026-01-01}"), "4:13", "dates are not read, found 2026-01-01: quote it"),
    ("infinity", contract(params="params: {x: .inf}"), "4:13", "no such number"),
    ("a number too large", contract(params="params: {x: 1e999}"), "4:13", "too large"),
    ("5,000 digits", contract(params="params: {x: " + "9" * 5000 + "}"), "4:13", "more than 300 digits"),
    ("5,000 hexadecimal digits", contract(params="params: {x: 0x" + "f" * 5000 + "}"), "4:13", "300 digits"),
    ("a key twice", contract(head="goldentape: 1\ngoldentape: 1"), "2:1", "comes twice, found goldentape: the first"),
    ("a key twice, deeper", contract(keys="keys: {run: a, run: b}"), "5:16", "the first is in line 5"),
]

MISSPELT = [
    ("a section", contract(keys="kesy: {run: a}"), "5:1", "found kesy: did you mean keys?"),
    ("a kind", contract("{kind: nevr, event: done}"), "9:18", "no such kind, found nevr: did you mean never?"),
    (
        "a kind like none",
        contract("{kind: zzz, event: done}"),
        "9:18",
        "no such kind, found zzz: there are admission, always",
    ),
    ("an event", contract("{kind: never, event: dnoe}"), "9:31", "no such event, found dnoe: did you mean done?"),
    ("a built-in event", contract("{kind: never, event: $clsoe}"), "9:31", "did you mean $close?"),
    ("an option", contract("{kind: never, evnet: done}"), "9:14", "`event` is missing: `evnet` stands there"),
    ("one more option", contract("{kind: count, event: done, mx: 1}"), "9:44", "found mx: did you mean max?"),
    ("a percentile", contract("{kind: latency, from: ask, to: done, p101: 5s}"), "9:54", "p50, p90, p95, p99, p999"),
    ("a key", contract("{kind: count, event: done, max: 1, per: rnu}"), "9:52", "no such key, found rnu"),
    ("a span", contract("{kind: exits, scope: rnu}"), "9:31", "no such span, found rnu: did you mean run?"),
    ("an exit", contract("{kind: exits, scope: run, allow: [k]}"), "9:43", "no such exit, found k"),
    ("a severity", contract("{kind: never, event: done, severity: eror}"), "9:44", "did you mean error?"),
    ("a gate", contract("{kind: never, event: done, gate: alwais}"), "9:44", "did you mean always?"),
    ("an ending", contract("{kind: never, event: done, at_end: {lft: waived}}"), "9:53", "did you mean left?"),
    ("a format", contract(wire="wire: {format: jsn}"), "3:8", "did you mean json?"),
    ("a direction", contract(events="events: {ask: {dir: s2s}, done: {}}"), "7:16", "did you mean s2c?"),
    ("a test", contract(events="events: {ask: {where: {a: {pattrn: x}}}, done: {}}"), "7:28", "did you mean pattern?"),
    ("a field", contract(events='events: {ask: {where: {"@clse.code": 3}}, done: {}}'), "7:24", "@close.code"),
    ("a member", contract(events="events: {ask: {any_of: [dnoe]}, done: {}}"), "7:25", "did you mean done?"),
    ("an opener", contract(spans="spans: {run: {open: aks, exits: {ok: done}}}"), "8:15", "did you mean ask?"),
    (
        "a parameter",
        contract('{kind: gap, max: "${fats}"}'),
        "9:29",
        "no such parameter, found fats: did you mean fast?",
    ),
    ("a pattern's event", contract('{kind: protocol, pattern: "ask dnoe"}'), "9:34", "did you mean done?"),
    ("what is missing", contract(keys="keys: {run: {path: a, missing: infr}}"), "5:23", "did you mean infer?"),
]

NOT_MEANT = [
    ("no version", contract(head=""), "2:1", "`goldentape` is missing"),
    ("another version", contract(head="goldentape: 2"), "1:1", "found 2, wanted 1: upgrade"),
    ("a version as text", contract(head='goldentape: "1"'), "1:1", 'found "1", wanted 1'),
    ("true as version", contract(head="goldentape: true"), "1:1", "found true, wanted 1"),
    ("no events", contract(events=""), "1:1", "`events` is missing"),
    ("an empty section", contract(events="events:"), "7:1", "found nothing, wanted a mapping"),
    ("a version that is a number", contract(contract="contract: {id: x, version: 1.0}"), "2:19", "a text: quote it"),
    ("an id with a blank", contract(contract='contract: {id: "x y", version: 1.0.0}'), "2:12", "found x y"),
    ("no kind", contract("{event: done}"), "9:14", "`kind` is missing"),
    ("a list of kinds", contract("{kind: [never], event: done}"), "9:18", "no such kind"),
    ("a text as invariant", contract("never"), "9:14", "found never, wanted a mapping"),
    ("a number as event", contract("{kind: never, event: 3}"), "9:31", "found 3, wanted a text"),
    ("`no` is a word", contract("{kind: never, event: done, enabled: no}"), "9:44", "found no, wanted true or false"),
    ("all disabled", contract("{kind: never, event: done, enabled: false}"), "9:1", "nothing would be judged"),
    ("a time without unit", contract("{kind: latency, from: ask, to: done, max: 5}"), "9:54", "a number and a unit"),
    ("a blank in a time", contract("{kind: latency, from: ask, to: done, max: 5 s}"), "9:54", "found 5 s"),
    ("a time below nothing", contract("{kind: latency, from: ask, to: done, p99: -5s}"), "9:54", "found -5s"),
    ("a time of nothing", contract("{kind: latency, from: ask, to: done, max: 0s}"), "9:54", "clock's resolution"),
    ("no time to answer", contract("{kind: responds, trigger: ask, answer: done, within: 0s}"), "9:62", "resolution"),
    ("no time for a pair", contract("{kind: pair, open: ask, close: done, within: 0.0001ms}"), "9:54", "resolution"),
    ("no silence", contract("{kind: gap, scope: run, max: 0ms}"), "9:41", "clock's resolution"),
    ("no bound", contract("{kind: latency, from: ask, to: done}"), "9:14", "wants `max`, `mean` or a percentile"),
    ("part of a parameter", contract('{kind: gap, max: "${fast}0"}'), "9:29", "it is the whole value"),
    ("a list as parameter", contract(params="params: {a: [1]}"), "4:10", "wanted a text or a number"),
    (
        "a parameter of another type",
        contract('{kind: latency, from: ask, to: done, max: "${many}"}'),
        "9:54",
        "found 3",
    ),
    ("half a path", contract(events='events: {ask: {where: {"a..b": 3}}, done: {}}'), "7:24", "a path reads a.b[0]"),
    ("a glob", contract(events='events: {ask: {where: {"a.*": 3}}, done: {}}'), "7:24", "a glob means many values"),
    ("a bound that is text", contract(events='events: {ask: {where: {a: {gt: "3"}}}, done: {}}'), "7:28", "a number"),
    ("no test", contract(events="events: {ask: {where: {}}, done: {}}"), "7:16", "nothing stands there"),
    ("no members", contract(events="events: {ask: {any_of: []}, done: {}}"), "7:16", "nothing stands there"),
    (
        "a part of itself",
        contract(events="events: {ask: {any_of: [ask]}, done: {}}"),
        "7:10",
        "circle, found ask -> ask",
    ),
    ("a circle", contract(events="events: {a: {except: [b]}, b: {except: [a]}}"), "7:10", "a -> b -> a"),
    ("a union with a type", contract(events="events: {a: {any_of: [b], type: a}, b: {}}"), "7:10", "not several"),
    (
        "a schema of a close",
        contract(events="events: {ask: {on: close, schema: true}, done: {}}"),
        "7:27",
        "handshakes",
    ),
    ("a type of a mark", contract(events="events: {ask: {on: mark, type: x}, done: {}}"), "7:26", "only messages"),
    ("types nowhere", contract(wire="wire: {format: json}", events="events: {a: {type: b}}"), "7:14", "set wire.type"),
    ("a word as key", contract(keys="keys: {user: a}"), "5:8", "a word of the language"),
    ("a span without exit", contract(spans="spans: {run: {open: ask}}"), "8:9", "`exits` is missing"),
    ("max below min", contract("{kind: count, event: done, min: 3, max: 1}"), "9:52", "`max` is below `min`"),
    ("nothing counted", contract("{kind: count, event: done}"), "9:14", "wants `min`, `max` or `exactly`"),
    ("an open bracket", contract('{kind: protocol, pattern: "ask (done"}'), "9:34", "`)` was expected"),
    ("too many states", contract('{kind: protocol, pattern: "(ask|done)* ask (ask|done){12}"}'), "9:34", "4096 states"),
    (
        "a deep pattern",
        contract('{kind: protocol, pattern: "' + "(" * 2000 + "ask" + ")" * 2000 + '"}'),
        "9:34",
        "deep",
    ),
    ("an owner of nothing", contract("{kind: owner, mode: envelope}"), "9:14", "wants a `path`"),
    ("a slow pattern", contract(events='events: {ask: {where: {a: {pattern: "(a+)+$"}}}}'), "7:28", "for ever"),
    ("a slower pattern", contract(events='events: {ask: {where: {a: {pattern: "a*a*a*$"}}}}'), "7:28", "for ever"),
    (
        "half a scope",
        contract("{kind: never, event: done, scope: {until: done}}"),
        "9:44",
        "no such scope, found until",
    ),
    (
        "too much of a scope",
        contract("{kind: never, event: done, scope: {before: ask, after: done}}"),
        "9:44",
        "after, b",
    ),
    ("a scope of no event", contract("{kind: never, event: done, scope: {after: akk}}"), "9:52", "did you mean ask?"),
    (
        "a scope's end",
        contract("{kind: never, event: done, scope: {between: [ask, dnoe]}}"),
        "9:",
        "did you mean done?",
    ),
    (
        "parts of one event",
        contract("{kind: schema, scope: {after: ask}}", events="events: {ask: {schema: {}}, done: {}}"),
        "9:",
        "no parts of slices",
    ),
    ("parts of an exit", contract("{kind: exits, scope: {span: run, after: ask}}"), "9:31", "no parts of slices"),
    ("a time as a path", contract(events='events: {ask: {where: {"@seen": 3}}}'), "7:24", "only `latency` reads it"),
    ("a tag without a name", contract(events='events: {ask: {where: {"@tag.": 3}}}'), "7:24", "no such field"),
    ("a key of no event", contract(keys="keys: {run: {path: a, in: akk}}"), "5:23", "did you mean ask?"),
    (
        "a key where it is not read",
        contract(keys="keys: {run: {path: a, in: ask}}", events="events: {ask: {}, done: {keys: {run: b}}}"),
        "7:33",
        "read `in` other events only",
    ),
    (
        "a schema in a test that is none",
        contract(events="events: {ask: {where: {a: {schema: {typ: string}}}}}"),
        "7:37",
        "did you mean type?",
    ),
    ("no pattern", contract(events='events: {ask: {where: {a: {pattern: "("}}}}'), "7:28", "not a regular expression"),
]

LATER = [
    ("a document that nobody read", contract(keys="asyncapi: {file: a}"), "5:1", "AsyncAPI document has not been read"),
]  # fmt: skip


def schema(text: str, **sections: str) -> str:
    return contract("{kind: schema}", events=f"events: {{ask: {{schema: {text}}}, done: {{}}}}", **sections)


AT = "7:25"
SCHEMAS = [
    ("a misspelt keyword", schema("{requird: [a]}"), AT, "unknown keyword, found requird: did you mean required?"),
    ("one inside", schema("{properties: {a: {items: {minLenght: 1}}}}"), "7:50", "did you mean minLength?"),
    ("a misspelt keyword that nobody asks for", contract(schemas="schemas: {base: {typ: object}}"), "6:", "mean type?"),
    ("no type", schema("{type: strnig}"), AT, "not a JSON Schema, at /type"),
    ("no schema", schema("{properties: {a: 3}}"), "7:38", "at /properties/a: 3 is not of type"),
    ("an unknown format", schema("{format: emial}"), AT, "unknown format, found emial: did you mean email?"),
    ("another draft", schema('{$schema: "http://json-schema.org/draft-04/schema#"}'), AT, "wanted https://json-sch"),
    ("a remote reference", schema('{$ref: "https://example.org/s"}'), AT, "remote references are disabled"),
    ("a file", schema('{$ref: "file:///etc/passwd"}'), AT, "remote references are disabled"),
    ("a relative file", schema('{$ref: "../x.json#/a"}'), AT, "remote references are disabled"),
    ("an id that would be one", schema('{$id: "http://x/", $ref: "a"}'), AT, "`$id` is not read"),
    ("a reference to nothing", schema('{$ref: "#/schemas/bsae"}'), AT, "did you mean #/schemas/base?"),
    ("a reference to the contract", schema('{$ref: "#/events/done"}'), AT, "wanted #/schemas/NAME"),
    ("a reference to itself", schema('{$ref: "#/schemas/base"}', schemas='schemas: {base: {$ref: "#/schemas/base"}}'),
     "6:", "in a circle"),
    ("a circle", schema('{$ref: "#/schemas/a"}', schemas='schemas: {a: {not: {$ref: "#/schemas/b"}}, '
                        'b: {anyOf: [{$ref: "#/schemas/a"}]}}'), "6:", "in a circle"),
    ("a dynamic reference", schema('{$dynamicRef: "#x"}'), AT, "unknown keyword"),
    ("a slow pattern", schema('{pattern: "(a+)+"}'), AT, "for ever"),
    ("a slow pattern of names", schema('{patternProperties: {"(a+)+": true}}'), "7:45", "for ever"),
    ("no regular expression", schema('{pattern: "["}'), AT, "not a"),
    ("no schema at all", contract("{kind: schema}"), "9:14", "no event has a schema"),
    ("an event without", contract("{kind: schema, events: [done]}"), "9:41", "has no schema, found done"),
    ("a schema that is a list", contract(schemas="schemas: [1]"), "6:1", "found [1], wanted a mapping"),
]  # fmt: skip


@pytest.mark.parametrize(
    "text, place, what",
    [pytest.param(*row[1:], id=row[0]) for row in [*NOT_YAML, *MISSPELT, *NOT_MEANT, *LATER, *SCHEMAS]],
)
def test_a_contract_that_cannot_be_used_is_refused_with_the_place_and_the_nearest_right_word(text, place, what):
    said = refusal(text)

    assert said.startswith(f"c.yaml:{place}" if place.endswith(":") else f"c.yaml:{place}: ")
    assert what in said


def test_an_invariant_that_is_disabled_is_noted():
    read = accepted(
        contract(invariants="invariants: {a: {kind: schema, enabled: false}, b: {kind: never, event: done}}")
    )

    assert list(notes(read)) == ["disabled in the contract, not judged: a"]


def test_a_schema_that_no_invariant_judges_is_noted():
    read = accepted(contract(events="events: {ask: {schema: {type: object}}, done: {}}"))

    assert list(notes(read)) == ["no invariant of the kind `schema` judges the schema of ask"]


def test_yaml_is_read_as_version_1_2_and_words_stay_words():
    text = contract(
        '{kind: never, event: done, title: "x", req: [on, No, yes, off, y, 12:30:45, 1_000, 0b1]}',
        events="events: {ask: {on: close}, done: {type: off, where: {a: no}}}",
    )

    read = accepted(text)

    assert read.invariants["a"].req == ("on", "No", "yes", "off", "y", "12:30:45", "1_000", "0b1")
    assert read.events["ask"].on == "close"
    assert read.events["done"].types == ("off",)
    assert load(b"a: 012\nb: 0o17\nc: 0x1f\nd: 1e3\ne: .5\nf: ~\ng: True", "c").value == {
        "a": 12, "b": 15, "c": 31, "d": 1000.0, "e": 0.5, "f": None, "g": True
    }  # fmt: skip


def test_a_yaml_directive_changes_nothing():
    assert load(b"%YAML 1.1\n---\na: yes\n", "c").value == {"a": "yes"}


def test_a_contract_may_be_json():
    text = (
        '{"goldentape": 1, "contract": {"id": "x", "version": "1.0.0"}, "events": {"a": {}},'
        ' "invariants": {"i": {"kind": "never", "event": "a"}}}'
    )

    assert accepted(text).id == "x"


def test_windows_line_ends_are_read():
    assert accepted(contract().replace("\n", "\r\n")).id == "x"


def test_a_recursive_schema_is_allowed():
    accepted(schema('{$ref: "#/schemas/base"}', schemas='schemas: {base: {properties: {a: {$ref: "#/schemas/base"}}}}'))


@pytest.mark.parametrize(
    "text",
    [
        schema('{$ref: "#/schemas/s39"}', schemas="schemas: {s0: {type: object}, " + ", ".join(
            f's{i}: {{allOf: [{{$ref: "#/schemas/s{i - 1}"}}, {{$ref: "#/schemas/s{i - 1}"}}]}}' for i in range(1, 40)
        ) + "}"),
        contract(events="events: {done: {}, ask: {}, u0: {any_of: [ask]}, " + ", ".join(
            f"u{i}: {{any_of: [u{i - 1}, u{i - 1}]}}" for i in range(1, 40)) + "}"),
        contract(events="events: {done: {where: " + "{not: " * 90 + "{a: 1}" + "}" * 90 + "}, ask: {}}"),
    ],
    ids=["references", "unions", "nots"],
)  # fmt: skip
def test_what_doubles_at_every_step_is_read_once(text):
    accepted(text)


def test_the_shipped_contracts_can_be_used():
    shipped = [f for f in files("goldentape.schemas").joinpath("contracts").iterdir() if f.name.endswith(".yaml")]

    assert shipped
    for file in shipped:
        assert list(notes(accepted(file.read_text("utf-8")))) == []


def test_a_remote_reference_is_refused_without_a_connection():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for text in (f"http://127.0.0.1:{port}/s", f"//127.0.0.1:{port}/s", f"http://127.0.0.1:{port}/s#/a"):
            assert "remote references are disabled" in refusal(schema(f'{{$ref: "{text}"}}'))
            assert "remote references are disabled" in refusal(
                schema("{$ref: '#/schemas/a'}", schemas=f'schemas: {{a: {{items: {{$ref: "{text}"}}}}}}')
            )
            # A const is data: a $ref in it is none.
            accepted(schema(f'{{const: {{$ref: "{text}"}}}}'))
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


LATENCY = '{kind: latency, from: ask, to: done, max: "${fast}"}'


@pytest.mark.parametrize(
    "settings, what",
    [
        ({"fast": "banana"}, "c.yaml:9:54: a duration is a number and a unit, found banana"),
        ({"fast": ""}, "c.yaml:9:54: a duration"),
        ({"many": "x"}, "the parameter many is a number, found x"),
        ({"many": "9" * 5000}, "the parameter many is a number"),
        ({"many": "nan"}, "the parameter many is a number"),
        ({"many": "1_000"}, "the parameter many is a number"),
        ({"fast": "\x1b[31m"}, r"found \x1b[31m"),
    ],
)
def test_a_parameter_of_another_type_is_refused(settings, what):
    assert what in refusal(contract(LATENCY), settings)


def test_a_parameter_takes_the_place_of_its_default():
    read = accepted(contract(LATENCY), {"fast": "7s", "many": "4"})

    assert read.invariants["a"].options["max"] == "7s"
    assert read.params == {"fast": "7s", "many": 4}


@pytest.mark.parametrize(
    "words, what",
    [
        (("fast",), "--set wants name=value, found fast"),
        (("=3",), "--set wants name=value"),
        (("a=1", "a=2"), "names a parameter twice, found a"),
    ],
)
def test_a_setting_that_is_none_is_refused(words, what):
    with pytest.raises(ContractError, match=what):
        parse_settings(words)


def test_a_setting_of_no_parameter_is_refused_with_the_nearest():
    with pytest.raises(ContractError, match=r"c\.yaml has no such parameter, found fats: did you mean fast\?"):
        demand_known({"fats": "1s"}, ["fast"], "the contract c.yaml has")


def test_a_part_that_stands_in_another_file_is_told_of_with_its_place_there():
    there = load(b"a:\n  b: 1\n", "there.yaml")
    here = load(b"x: 1\n", "here.yaml")
    here.elsewhere[("events", "b")] = (there, ("a", "b"))

    assert here.file("events", "b", "where") == "there.yaml"
    assert here.line("events", "b", "where") == 2
    assert str(here.error(("events", "b"), "no")).startswith("there.yaml:2:3: no")
    assert str(here.error(("x",), "no")).startswith("here.yaml:1:1: no")
