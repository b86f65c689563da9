"""Conversations with an agent, as tests write them: the sentences of `tapes.py`, and a short form for messages.

    alice > ask t1                          {"type": "ask", "thread_id": "t1", "timestamp": ...}
    alice < agent_started t1 r1             the server's messages carry `user_id`; agent_started an `agent_name`
    alice < tool_executing t1 r1 c1         c1 is data.call_id; tools carry data.tool_name
    alice < tool_executing data.tool_name=search -timestamp n:=3    fields by path, one left out, one as JSON
    * bob < agent_thinking t1 r1            this one is the culprit: it must be in the witness

A message that is not of this form (JSON, `0x...`, `(close 1000)`) is taken as `tapes.py` has it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from tapes import Writer, _numbers, home

from goldentape.tape import Tape, open_tape
from verifier.check import verify
from verifier.contract import Contract, read_contract
from verifier.history import Source
from verifier.verdict import Verdict
from verifier.whole import verify_tape

_MESSAGE = re.compile(
    r"(?P<who>(?P<user>[^\s/<>]+)(?:/\S+)?) (?P<dir>[<>]) (?P<flags>(?:!\w+ )*)(?P<type>[a-z]\w*)(?P<rest>(?: \S+)*)"
)
_SHORT = {"t": "thread_id", "r": "run_id", "c": "data.call_id", "e": "event_id"}
_DEFAULTS = {
    "agent_started": {"agent_name": "triage"},
    "tool_executing": {"data.tool_name": "search"},
    "tool_completed": {"data.tool_name": "search"},
}


def spelled(sentence: str) -> str:
    """Return a sentence with its message written out."""
    match = _MESSAGE.fullmatch(sentence)
    if match is None:
        return sentence
    message = fields(match["type"], match["rest"].split(), match["user"] if match["dir"] == "<" else None)
    return f"{match['who']} {match['dir']} {match['flags']}{json.dumps(message, ensure_ascii=False)}"


_WORD = re.compile(r"(?P<who>(?P<user>[^\s/<>]+)(?:/\S+)?) (?P<dir>[<>]) (?P<type>[A-Za-z_]\w*)(?P<rest>(?: \S+)*)")


def written(sentence: str) -> str:
    """Return a sentence of another protocol than the agents' with its message written out: `type field=value n:=3`."""
    guilty = "* " if sentence.startswith("* ") else ""
    match = _WORD.fullmatch(sentence.removeprefix("* "))
    if match is None:
        return sentence
    message: dict[str, Any] = {"type": match["type"]}
    for word in match["rest"].split():
        path, _, value = word.partition("=")
        _put(message, path.removesuffix(":"), json.loads(value) if path.endswith(":") else value)
    return f"{guilty}{match['who']} {match['dir']} {json.dumps(message, ensure_ascii=False)}"


def fields(type_: str, words: list[str], user: str | None) -> dict[str, Any]:
    """Return the message that the words say."""
    found: dict[str, Any] = {"type": type_, "timestamp": "2026-01-01T00:00:00Z"}
    if user is not None:
        found["user_id"] = user
        for path, value in _DEFAULTS.get(type_, {}).items():
            _put(found, path, value)
    for word in words:
        if word.startswith("-"):
            _drop(found, word[1:])
        elif re.fullmatch(r"[trce]\d+", word):
            _put(found, _SHORT[word[0]], word)
        else:
            path, _, value = word.partition("=")
            if path.endswith(":"):
                _put(found, path[:-1], json.loads(value))
            else:
                _put(found, path, value)
    return found


def _put(message: dict[str, Any], path: str, value: Any) -> None:
    *outer, leaf = path.split(".")
    for part in outer:
        message = message.setdefault(part, {})
    message[leaf] = value


def _drop(message: dict[str, Any], path: str) -> None:
    *outer, leaf = path.split(".")
    for part in outer:
        message = message.get(part, {})
    message.pop(leaf, None)


@dataclass(frozen=True)
class Talk:
    """A tape, and which of its events the sentences call culprits."""

    tape: Tape
    culprits: frozenset[int]
    seqs: tuple[int, ...]
    """The seq of each sentence; of what is no event, the last before it."""


def talk(*sentences: str, seal: bool = True, complete: bool = True, crashed: bool = False, **epoch: Any) -> Talk:
    """Write sentences as a tape."""
    path = home() / f"{next(_numbers)}.tape"
    writer = Writer(path, **epoch)
    culprits, seqs = set(), []
    for sentence in sentences:
        guilty = sentence.startswith("* ")
        writer.say(spelled(sentence.removeprefix("* ")))
        seqs.append(writer.seq - 1)
        if guilty:
            culprits.add(writer.seq - 1)
    writer.finish(seal=seal, complete=complete, crashed=crashed)
    return Talk(open_tape(path), frozenset(culprits), tuple(seqs))


HEAD = """\
goldentape: 1
contract: {id: test, version: "1.0.0"}
wire: {format: json, type: type, id: event_id, unknown: ignore, race: 250ms}
keys:
  run: {path: [run_id, data.run_id], missing: infer}
"""
"""How contracts of tests begin; more keys follow."""

EVENTS = (
    HEAD
    + """\
  thread: {path: [thread_id, data.thread_id], missing: infer}
  call: {path: [data.call_id, data.tool_call_id], missing: infer, fallback: [data.tool_name, tool_name]}
  id: {path: id, missing: violation}
schemas:
  base: {type: object, required: [type, timestamp, thread_id], properties: {thread_id: {type: string, minLength: 1}}}
events:
  ask: {dir: c2s}
  stop: {dir: c2s}
  agent_started: {schema: {$ref: "#/schemas/base"}}
  agent_thinking: {}
  tool_executing: {}
  tool_completed: {}
  agent_completed: {}
  agent_error: {}
  agent_timeout: {}
  failure: {any_of: [agent_error, agent_timeout]}
  user_left: {on: close, where: {"@close.by": client}}
  shutdown: {on: close, where: {"@close.by": server, "@close.code": {in: [1001, 1012, 1013]}}}
  crashed: {on: close, where: {"@close.by": server, "@close.code": {in: [1006, 1011]}}}
  fault_begin: {on: mark, where: {"@mark": fault_begin}}
  fault_end: {on: mark, where: {"@mark": fault_end}}
spans:
  run:
    open: agent_started
    key: run
    exits: {completed: agent_completed, failed: agent_error, timed_out: agent_timeout, disconnected: user_left,
            shut_down: shutdown}
    on_drop: suspend
    grace: 60s
"""
)
"""The events of a conversation with an agent, for contracts of one invariant."""


@cache
def contract(*invariants: str, base: str = EVENTS) -> Contract:
    """Return a contract of the given invariants (`x: {kind: ...}`; a bare `{kind: ...}` is called `it`)."""
    lines = [f"  it: {line}" if line.startswith("{") else f"  {line}" for line in invariants]
    return read_contract("\n".join([base, "invariants:", *lines]).encode(), "test.yaml")


@cache
def shipped(name: str, **settings: str) -> Contract:
    """Return a shipped contract."""
    data = files("goldentape.schemas").joinpath(f"contracts/{name}.yaml").read_bytes()
    return read_contract(data, f"{name}.yaml", settings)


def golden_path(**settings: str) -> Contract:
    """Return the shipped contract."""
    return shipped("golden-path", **settings)


def judge(contract: Contract, tape: Tape, user: str | None = None) -> Verdict:
    """Return the verdict on a tape, to which the engine and the quick way have to come alike."""
    verdict = verify(contract, Source.of(tape, user))
    if user is None:
        assert found(verify_tape(contract, tape)) == found(verdict)
    return verdict


def found(verdict: Verdict) -> dict[str, object]:
    """Return all that a verdict says."""
    said: dict[str, object] = {
        o.name: (
            o.verdict, o.tally.activations, o.tally.waived, o.tally.not_applicable, o.tally.raced, o.tally.violated,
            o.tally.demoted, dict(o.tally.unknown), dict(o.tally.errors),
            [(g.count, g.users, g.first) for g in o.groups],
        )
        for o in verdict.outcomes
    }  # fmt: skip
    said["tape"] = (verdict.messages, verdict.events, verdict.users, verdict.connections, verdict.doubtful, verdict.end)
    said["warnings"] = verdict.warnings
    return said


def failed(verdict: Verdict) -> set[str]:
    """Return the invariants that failed, those of the severity warning too."""
    return {outcome.name for outcome in verdict.outcomes if outcome.tally.violated or outcome.tally.demoted}


def troubled(verdict: Verdict) -> dict[str, Any]:
    """Return what did not pass, with the reasons: for the message of an assertion."""
    found: dict[str, Any] = {}
    for outcome in verdict.outcomes:
        tally = outcome.tally
        if outcome.verdict != "pass" or tally.groups:
            found[outcome.name] = [group.first[0].why for group in tally.groups.values()] or dict(
                tally.errors or tally.unknown
            )
    return found


def expect(invariant: str, verdict: str, *sentences: str, base: str = EVENTS, **options: Any) -> None:
    """Assert one invariant's verdict on what the sentences say; where it fails, the culprits are in one witness."""
    talked = talk(*sentences, **options)
    found = judge(contract(invariant, base=base), talked.tape)
    outcome = found.outcome("it")
    assert outcome.verdict == verdict, troubled(found)
    if talked.culprits:
        witnesses = [set(violation.seqs) for group in outcome.groups for violation in group.first]
        assert any(talked.culprits <= witness for witness in witnesses), (talked.culprits, witnesses)
