"""docs/adding-an-invariant.md: what it quotes stands in the files that it names, and what it claims is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from agents import expect

from verifier.rule import Rule
from verifier.shape import contract_schema
from verifier.slices import Slice

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "adding-an-invariant.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+) title=(\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def table(heading: str) -> set[str]:
    """The words in the first column of the table below a heading."""
    part = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return {
        word
        for line in part.splitlines()
        if line.startswith("| `")
        for word in re.findall(r"`(\w+)`", line.split("|")[1])
    }


@pytest.mark.parametrize("name, text", [(n, text) for _, n, text in BLOCKS if n.endswith(".py")])
def test_the_files_say_what_the_page_quotes(name, text):
    assert text in (ROOT / name).read_text("utf-8")


def test_the_first_quotation_is_the_whole_file():
    _, name, text = BLOCKS[0]

    assert text == (ROOT / name).read_text("utf-8")


def test_the_shape_is_the_schemas():
    [shown] = [json.loads(text) for kind, _, text in BLOCKS if kind == "json"]
    [shape] = [
        kind["properties"]
        for kind in contract_schema()["definitions"]["invariant"]["oneOf"]
        if kind["properties"]["kind"]["const"] == "together"
    ]

    for option, told in shown.items():
        assert shape[option]["minItems"] == told["minItems"]
        assert (shape[option]["type"], shape[option]["items"]["type"]) == (told["type"], told["items"]["type"])


@pytest.mark.parametrize("verdict, name", [("fail", "fails.txt"), ("pass", "passes.txt")])
def test_the_tapes_of_the_page_do_what_their_names_say(verdict, name):
    [text] = [text for _, title, text in BLOCKS if title == name]
    head, *sentences = text.splitlines()

    expect(head.removeprefix("# "), verdict, *sentences)


def test_the_table_of_a_rule_has_all_that_a_rule_has():
    members = {name for name in (*Rule.__annotations__, *vars(Rule)) if not name.startswith("_")}

    assert table("What a rule is told") == members


def test_what_a_rule_can_say_is_there():
    words = table("What a rule says")

    assert len(words) >= 10
    assert [word for word in words if not callable(getattr(Slice, word, None))] == []
