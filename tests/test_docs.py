"""The pages for users: links lead somewhere, and every command that they show exists with its options."""

import re
import shlex
from pathlib import Path

import click
import pytest
from agents import shipped

from goldentape.cli import goldentape

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)(?:#[^)]*)?\)")
FENCE = re.compile(r"^```(?:sh|console|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(page):
    """The goldentape command lines of a page's shell blocks, as words."""
    for block in FENCE.findall(page.read_text("utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            line = line.removeprefix("$ ").strip()
            if re.match(r"(?:\.venv/bin/)?goldentape ", line) and "..." not in line:
                yield shlex.split(re.split(r" (?:>|\||&&|&$|2>)", line)[0], comments=True)[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    missing = [link for link in LINK.findall(page.read_text("utf-8")) if not (page.parent / link).exists()]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_on_the_pages_exist_with_these_options(page):
    for words in commands(page):
        context = click.Context(goldentape)
        command: click.Command = goldentape
        while isinstance(command, click.Group):
            name = words.pop(0)
            found = command.get_command(context, name)
            assert found is not None, f"{page.name}: there is no command {name}"
            command = found
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used <= known, f"{page.name}: {command.name} has no {sorted(used - known)}"


def test_the_pages_show_commands_at_all():
    assert sum(1 for page in PAGES for _ in commands(page)) >= 8


@pytest.mark.parametrize("contract", ["ag-ui", "graphql-transport-ws", "json-rpc-2.0", "socket.io"])
def test_every_invariant_of_a_shipped_protocol_has_its_sentence(contract):
    page = (ROOT / "docs" / "protocols.md").read_text("utf-8")
    _, _, part = page.partition(f"\n## {contract}\n")
    told = set(re.findall(r"`([a-z][a-z0-9-]*)`", part.partition("\n## ")[0]))

    assert told >= set(shipped(contract).invariants)
