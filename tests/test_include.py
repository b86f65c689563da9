"""`include`: contracts in several files, each part told of with its own place; and what no include may reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldentape.commands.finding import read_contracts
from goldentape.errors import GoldentapeError

BASE = """\
goldentape: 1
contract: {id: base, version: "1.0.0"}
wire: {format: json, type: type, race: 250ms}
params: {first: 5s}
keys: {run: run_id}
events:
  ask: {dir: c2s}
  started: {}
  done: {schema: {required: [run_id]}}
invariants:
  answered: {kind: responds, trigger: ask, answer: started, within: "${first}"}
  shapes: {kind: schema}
"""
OWN = """\
goldentape: 1
contract: {id: own, version: "1.0.0"}
include: [base.yaml]
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text(BASE)
    return tmp_path


def read(text: str, name: str = "own.yaml", **settings: str):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)
    [contract] = read_contracts([name], settings)
    return contract


def refused(text: str, name: str = "own.yaml") -> str:
    with pytest.raises(GoldentapeError) as caught:
        read(text, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_included_is_there_under_the_own_name():
    contract = read(OWN)

    assert (contract.id, list(contract.invariants), list(contract.events)) == (
        "own", ["answered", "shapes"], ["ask", "started", "done"],
    )  # fmt: skip
    assert contract.wire.race == 250_000_000
    assert contract.document.file(*contract.invariants["shapes"].at) == "base.yaml"
    assert contract.invariants["shapes"].line == 12


def test_the_digest_is_of_all_files():
    before = read(OWN).digest
    Path("base.yaml").write_text(BASE + "# other\n")
    assert read(OWN).digest != before


def test_of_what_both_have_the_including_one_wins_field_by_field():
    contract = read(
        OWN + "params: {first: 9s}\nwire: {race: 1s}\nevents: {done: {type: finished}, more: {}}\n"
        "invariants: {answered: {kind: responds, mode: each}, shapes: {kind: schema, enabled: false}}\n"
    )

    assert contract.params == {"first": "9s"}
    assert contract.wire.race == 1_000_000_000 and contract.wire.type == "type"
    assert contract.events["done"].types == ("finished",) and contract.events["done"].schema is not None
    answered = contract.invariants["answered"].options
    assert (answered["trigger"], answered["mode"], answered["within"]) == ("ask", "each", "9s")
    assert contract.disabled == ["shapes"]
    assert list(contract.invariants) == ["answered"]
    document = contract.document
    assert document.file("invariants", "answered") == document.file("invariants", "answered", "mode") == "own.yaml"
    assert document.file("invariants", "answered", "trigger") == "base.yaml"


def test_a_parameter_of_an_included_contract_can_be_set():
    assert read(OWN, first="7s").params == {"first": "7s"}


def test_a_later_include_wins_over_an_earlier_one_and_the_same_one_twice_is_one():
    Path("slow.yaml").write_text("goldentape: 1\ninclude: [base.yaml]\nparams: {first: 60s}\n")
    contract = read(OWN.replace("[base.yaml]", "[base.yaml, slow.yaml, ./slow.yaml]"))

    assert contract.params == {"first": "60s"} and len(contract.invariants) == 2


def test_a_shipped_contract_is_included_by_its_name():
    contract = read(OWN.replace("[base.yaml]", "[golden-path]") + "invariants: {once: {kind: count, gate: always}}\n")

    assert contract.invariants["once"].gate == "always" and "right-order" in contract.invariants
    assert contract.document.file("invariants", "right-order") == "golden-path.yaml"


def test_files_are_named_from_the_one_that_includes_them():
    Path("parts").mkdir()
    Path("parts/events.yaml").write_text("goldentape: 1\ninclude: [../base.yaml, more.yml]\n")
    Path("parts/more.yml").write_text("goldentape: 1\nevents: {more: {}}\n")

    assert "more" in read(OWN.replace("base.yaml", "../parts/events.yaml"), "team/own.yaml").events


@pytest.mark.parametrize(
    "include, what",
    [
        ("[bsae.yaml]", "own.yaml:3:11: there is no such file, found bsae.yaml"),
        ("[golden-paht]", "own.yaml:3:11: there is no such shipped contract, found golden-paht"),
        ("base.yaml", "own.yaml:3:1: `include` is a list"),
        ("[3]", "own.yaml:3:1: `include` is a list"),
        ("[/etc/hostname.yaml]", "is named from the file that includes it"),
        ("['https://example.org/x.yaml']", "nothing is fetched"),
        ("[/dev/stdin]", "is named from the file that includes it"),
        ("[own.yaml]", "own.yaml:3:11: files include each other, found own.yaml -> own.yaml"),
        ("[.]", "there is no such"),
        ("[./]", "there is no such file"),
    ],
)
def test_what_cannot_be_included_is_refused_at_its_place(include, what):
    assert what in refused(OWN.replace("[base.yaml]", include))


def test_a_circle_of_files_is_refused():
    Path("a.yaml").write_text("goldentape: 1\ninclude: [b.yaml]\n")
    Path("b.yaml").write_text("goldentape: 1\n\ninclude: [./a.yaml]\n")

    assert "b.yaml:3:11: files include each other, found own.yaml -> a.yaml -> b.yaml -> a.yaml" in refused(
        OWN.replace("base", "a")
    )


def test_many_files_are_refused():
    for n in range(7):
        Path(f"l{n}.yaml").write_text(f"goldentape: 1\ninclude: [l{n + 1}.yaml, l{n + 1}.yaml]\n")
    Path("l7.yaml").write_text("goldentape: 1\n")

    assert "more than 64 files" in refused(OWN.replace("base", "l0"))


def test_a_link_to_elsewhere_is_not_followed(tmp_path_factory):
    secret = tmp_path_factory.mktemp("secret") / "key.yaml"
    secret.write_text("token: abc\n")
    Path("link.yaml").symlink_to(secret)
    Path("dir").symlink_to(secret.parent)
    Path("beside.yaml").symlink_to("base.yaml")

    for name in ("link.yaml", "dir/key.yaml"):
        said = refused(OWN.replace("base.yaml", name))
        assert "symbolic link" in said and "abc" not in said
    assert len(read(OWN.replace("base.yaml", "beside.yaml")).invariants) == 2


@pytest.mark.parametrize(
    "part, what",
    [
        ("events: {x: {dir: s2s}}", "part.yaml:3:14: unknown word, found s2s"),
        ("events: {x: {colour: red}}", "part.yaml:3:14: unknown key, found colour"),
        ("kesy: {run: x}", "part.yaml:3:1: unknown key, found kesy: did you mean keys?"),
        ("invariants: {n: {kind: never, event: dnoe}}", "part.yaml:3:31: no such event, found dnoe"),
        ("invariants: {n: {kind: never, event: '${x}'}}", "part.yaml:3:31: no such parameter, found x"),
        ("events: {x: &a {}}", "part.yaml:3:13: anchors are not read"),
        ("events: [1]", "part.yaml:3:1: a value of another type"),
    ],
)
def test_what_is_wrong_in_an_included_file_is_told_with_its_place(part, what):
    Path("part.yaml").write_text(f"goldentape: 1\n# a part\n{part}\n")

    assert what in refused(OWN.replace("[base.yaml]", "[base.yaml, part.yaml]"))


def test_what_is_included_must_be_a_contract():
    Path("part.yaml").write_text("events: {x: {}}\n")
    assert "part.yaml:1:1: what is included is a contract of language version 1" in refused(
        OWN.replace("base.yaml", "part.yaml")
    )
    Path("part.yaml").write_text("goldentape: 2\n")
    assert "found 2" in refused(OWN.replace("base.yaml", "part.yaml"))


def test_an_invariant_keeps_its_kind():
    said = refused(OWN + "invariants: {answered: {kind: never, event: ask}}\n")

    assert said.startswith("own.yaml:4:25: an included invariant is changed, and not into another kind, found never")
    assert "wanted kind: responds" in refused(OWN + "invariants: {answered: {mode: each}}\n")
