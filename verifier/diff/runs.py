"""Conversations cut into runs: a request, and what the server said to it, though runs were interleaved.  Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from verifier.diff.hear import Conversation, Message
from verifier.diff.learn import Model

ASIDE = ""
"""The kind of what belongs to no run."""


@dataclass(slots=True)
class Run:
    """A request and its answers."""

    connection: int
    user: int
    said: list[Message] = field(default_factory=list)
    heard: bool = False
    """The server has said something."""
    cut_off: bool = False
    """The server ended the connection, and not as one ends it when all is well."""
    kind: str = ASIDE
    labels: tuple[tuple[str, str], ...] = ()
    """What tells the request from others of its name."""

    def add(self, message: Message) -> None:
        """Take a message."""
        self.said.append(message)
        self.heard = self.heard or message.dir == 1


def cut(conversation: Conversation, model: Model, side: int) -> tuple[list[Run], Run]:
    """Return the runs of a conversation, and what belongs to none; give every message its name."""
    for message in conversation.said:
        message.name = model.named(side, message.dir, message.value)
    aside = Run(conversation.connection, conversation.user)
    runs = _by_id(conversation, model, aside) if model.links.run is not None else _by_turn(conversation, aside)
    about = conversation.about
    cut_off = about is not None and about.closed_by == "server" and about.close_code not in (1000, 1001, 1005)
    for run in runs:
        run.cut_off = cut_off
        first = next((message for message in run.said if message.dir == 0), None)
        if first is None:
            run.kind = f"(no request) {run.said[0].name}"
            continue
        run.labels = model.labels_of(0, first.name, first.value)
        run.kind = " ".join([first.name, *(f"{name}={word}" for name, word in run.labels[:2])])
        _name_replies(run, first)
    return runs, aside


def _by_id(conversation: Conversation, model: Model, aside: Run) -> list[Run]:
    link = model.links.run
    assert link is not None
    runs: list[Run] = []
    open_ones: dict[Any, Run] = {}
    asked: deque[Message] = deque()
    for message in conversation.said:
        value = link.read(message.dir, message.value)
        if value is None:
            if message.dir == 0 and message.name in model.requests:
                asked.append(message)
            else:
                aside.add(message)
            continue
        run = open_ones.get(value)
        if run is None or (message.dir == 0 and run.heard and run.said[0].name == message.name):
            run = open_ones[value] = Run(conversation.connection, conversation.user)
            runs.append(run)
            if message.dir == 1 and asked:
                run.add(asked.popleft())
        run.add(message)
    for message in asked:
        run = Run(conversation.connection, conversation.user)
        run.add(message)
        runs.append(run)
    return runs


def _by_turn(conversation: Conversation, aside: Run) -> list[Run]:
    runs: list[Run] = []
    run: Run | None = None
    for message in conversation.said:
        if message.dir == 0 and (run is None or run.heard):
            run = Run(conversation.connection, conversation.user)
            runs.append(run)
        (aside if run is None else run).add(message)
    return runs


def _name_replies(run: Run, first: Message) -> None:
    """Name what nothing names by what it answers: `tools/call: result`."""
    for message in run.said:
        if (message.dir == 1 and message.name in ("object", "value", "list")) or message.name[:1] == "{":
            value = message.value
            what = "reply"
            if isinstance(value, dict):
                what = "error" if value.get("error") is not None else "result" if "result" in value else what
            if message.dir == 1 and (what != "reply" or message.name == "object"):
                message.name = f"{first.name}: {what}"
