"""Write docs/commands.md and the made parts of contracts.md and architecture.md, or check them (`--check`).

The commands are told by their own help, the kinds of invariants by their docstrings and the contract schema.
Refuses an option without a help text, and a kind without a page.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from goldentape.cli import goldentape
from verifier.invariants import KINDS
from verifier.shape import contract_schema

ROOT = Path(__file__).parent.parent
CONTRACTS = Path(__file__).with_name("contracts.md")
MAP = Path(__file__).with_name("architecture.md")
PACKAGES = (
    ("recorder", "recorder: sockets to tape"),
    ("recorder/imports", "recorder/imports: what others recorded"),
    ("recorder/faults", "recorder/faults: what a network or a peer may do, on purpose"),
    ("goldentape", "goldentape: what both sides stand on"),
    ("goldentape/commands", "goldentape/commands: one thin file a command"),
    ("goldentape/testing", "goldentape/testing: what tests stand on"),
    ("goldentape/commands/contract", "goldentape/commands/contract"),
    ("goldentape/commands/fuzz", "goldentape/commands/fuzz"),
    ("goldentape/commands/tape", "goldentape/commands/tape"),
    ("verifier", "verifier: tape to verdict"),
    ("verifier/fuzz/live", "verifier/fuzz/live: the same against a running server"),
    ("verifier/fuzz/offline", "verifier/fuzz/offline: other orders of a recording"),
    ("verifier/invariants", "verifier/invariants: a kind each"),
    ("verifier/faults", "verifier/faults: a fault each"),
    ("verifier/replay", "verifier/replay: a side of a tape, played again"),
    ("verifier/diff", "verifier/diff: what differs between two releases"),
    ("verifier/taint", "verifier/taint: whose values are found where"),
    ("verifier/fuzz", "verifier/fuzz: which order of what users do breaks the server"),
    ("verifier/exporters", "verifier/exporters: a view of the verdict each"),
    ("verifier/page", "verifier/page: the HTML report"),
    ("fixtures/demo", "fixtures/demo: the demo's service, its users, and what is told of them"),
)
PAGE = Path(__file__).with_name("commands.md")
HEAD = """# The commands

Made by `python docs/reference.py` from the commands' own help.  Exit codes: 0 everything demanded holds, 1 a violation
(or a check that could not be evaluated), 2 bad usage, contract, tape or input, 3 the environment (storage, port,
upstream), 4 inconclusive or vacuous, 130 interrupted after a clean stop.
"""


def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command below `command` with its words."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from walk(child, (*path, name))
    else:
        yield path, command


def section(path: tuple[str, ...], command: click.Command) -> str:
    """Return one command's part of the page."""
    context = click.Context(command, info_name=" ".join(path))
    usage = command.get_usage(context).removeprefix("Usage: ")
    lines = [f"## {' '.join(path)}", "", f"`{usage}`", "", (command.help or "").strip(), ""]
    rows = []
    for parameter in command.params:
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is None:
            continue
        if not record[1].strip():
            raise SystemExit(f"{' '.join(path)} {record[0]} has no help text")
        rows.append(f"| `{record[0].replace('|', '/')}` | {' '.join(record[1].split()).replace('|', '&#124;')} |")
    if rows:
        lines += ["| option | what it does |", "| --- | --- |", *rows, ""]
    return "\n".join(lines)


def page() -> str:
    """Return the whole page."""
    return HEAD + "\n" + "\n".join(section(path, command) for path, command in walk(goldentape, ("goldentape",)))


REFUSED = frozenset({("latency", "clock")})
"""Of the schema, what this release says no to: (kind, option), or a value."""


def kinds() -> str:
    """Return the pages of all kinds of invariants."""
    return "\n".join(kind_section(kind) for kind in KINDS)


def kind_section(kind: str) -> str:
    """Return one kind's page: the docstring of its module, and what the contract schema lets it have."""
    module = sys.modules[f"verifier.invariants.{kind}"]
    text = inspect.cleandoc(module.__doc__ or "")
    head, _, rest = text.partition("\n")
    name, _, title = head.partition(": ")
    if name != kind or not rest.strip():
        raise SystemExit(f"verifier/invariants/{kind}.py has no page in its docstring")
    body = re.sub(r"(?m)((?:^    .*\n?)+)", _example, rest.strip())
    schema = contract_schema()
    common = schema["definitions"]["common"]["properties"]
    part = next(p for p in schema["definitions"]["invariant"]["oneOf"] if p["properties"]["kind"]["const"] == kind)
    wanted = set(part.get("required", ()))
    rows = [
        f"| `{option}`{' *' if option in wanted else ''} | {values(shape)} |"
        for option, shape in part["properties"].items()
        if (option not in common and (kind, option) not in REFUSED) or (option in wanted and option != "kind")
    ]
    table = ["", "| option (* must be there) | value |", "| --- | --- |", *rows] if rows else []
    return "\n".join([f"### {kind}", "", title[0].upper() + title[1:], "", body, *table, ""])


def _example(match: re.Match[str]) -> str:
    return "```text\n" + inspect.cleandoc(match[1]) + "\n```\n"


def values(shape: dict[str, Any]) -> str:
    """Return in words what a part of the contract schema allows."""
    if "$ref" in shape:
        return {"scope": "a span", "test": "a test", "predicate": "tests by path"}[
            str(shape["$ref"]).rpartition("/")[2]
        ]
    if "enum" in shape or "const" in shape:
        return " ".join(f"`{json.dumps(value).strip(chr(34))}`" for value in shape.get("enum", [shape.get("const")]))
    if "oneOf" in shape or "anyOf" in shape:
        parts = [one for one in shape.get("oneOf", shape.get("anyOf")) if one.get("const") not in REFUSED]
        first, *others = dict.fromkeys(values(one) for one in parts)
        return ", or ".join([first, *("several" if other == f"a list of: {first}" else other for other in others)])
    if shape.get("type") == "object" and "properties" in shape:
        return ", ".join(f"`{name}`: {values(inner)}" for name, inner in shape["properties"].items())
    if shape.get("type") == "array":
        return f"a list of: {values(shape['items'])}" if "items" in shape else "a list"
    pattern = str(shape.get("pattern", ""))
    if "ms|s|m|h" in pattern:
        return "a time"
    if str(shape.get("description", "")).startswith("an event of this contract"):
        return "an event"
    if "json/pointer" in str(shape.get("description", "")):
        return "a path"
    names = shape.get("type", "any value")
    words = {"string": "a word", "number": "a number", "integer": "a whole number", "boolean": "`true` or `false`",
             "object": "a mapping", "null": "nothing"}  # fmt: skip
    return ", or ".join(words.get(str(name), str(name)) for name in (names if isinstance(names, list) else [names]))


def later() -> str:
    """Return what of the language this release refuses."""
    rows = [
        "- `clock: payload` (latency).",
    ]
    return "\n".join(rows) + "\n"


def modules() -> str:
    """Return the table of all modules, by the first line of their docstrings."""
    lines = []
    for package, title in PACKAGES:
        lines += [f"### {title}", "", "| module | what it is |", "| --- | --- |"]
        for path in sorted((ROOT / package).glob("*.py")):
            told = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]
            if not told:
                raise SystemExit(f"{path} has no docstring")
            if path.name not in ("__init__.py", "__main__.py"):
                lines.append(f"| [`{path.name}`](../{package}/{path.name}) | {told.replace('|', '&#124;')} |")
        lines.append("")
    return "\n".join(lines)


def filled(page: Path, **parts: str) -> str:
    """Return a page with its made parts made anew."""
    text = page.read_text("utf-8")
    for name, made in parts.items():
        begin, end = f"<!-- {name}: made by docs/reference.py -->\n", f"<!-- /{name} -->"
        before, opened, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not opened or not closed:
            raise SystemExit(f"docs/{page.name} has lost the place of its {name}")
        text = f"{before}{begin}\n{made}\n{end}{after}"
    return text


def main() -> None:
    """Write or check the pages."""
    pages = (
        (PAGE, page()),
        (CONTRACTS, filled(CONTRACTS, kinds=kinds(), later=later())),
        (MAP, filled(MAP, modules=modules())),
    )
    for path, text in pages:
        if "--check" not in sys.argv:
            path.write_text(text, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != text:
            raise SystemExit(f"docs/{path.name} is out of date: run python docs/reference.py")
        else:
            print(f"docs/{path.name} is up to date")


if __name__ == "__main__":
    main()
