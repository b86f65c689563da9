"""A contract with every kind of invariant (`sink.yaml`): what the laws are tried on."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from agents import EVENTS

from verifier.contract import Contract, read_contract


@cache
def sink() -> Contract:
    """Return the contract."""
    events = EVENTS.replace("ask: {dir: c2s}", "ask: {dir: c2s, type: [ask, user_message, agent_request, chat]}")
    return read_contract(f"{events}{Path(__file__).with_suffix('.yaml').read_text('utf-8')}".encode(), "sink.yaml")
