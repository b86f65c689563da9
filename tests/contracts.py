"""Contracts as tests write them: a small one, section by section, each of which a row may replace."""

from __future__ import annotations

BASE = {
    "head": "goldentape: 1",
    "contract": 'contract: {id: x, version: "1.0.0"}',
    "wire": "wire: {format: json, type: type}",
    "params": "params: {fast: 1s, many: 3}",
    "keys": "keys: {run: run_id}",
    "schemas": "schemas: {base: {type: object}}",
    "events": "events: {ask: {dir: c2s}, done: {}}",
    "spans": "spans: {run: {open: ask, exits: {ok: done}}}",
    "invariants": "invariants: {a: {kind: never, event: done}}",
}
"""Each section stands on the line of its place, counted from 1: `invariants` on line 9."""


def contract(invariant: str | None = None, **sections: str) -> str:
    """Return the text of a contract; `invariant` is the one it has, as flow YAML."""
    if invariant is not None:
        sections["invariants"] = f"invariants: {{a: {invariant}}}"
    assert sections.keys() <= BASE.keys()
    return "\n".join({**BASE, **sections}.values()) + "\n"
