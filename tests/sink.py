"""A contract with every kind of invariant, sliced in every way that makes sense: what the laws are tried on."""

from __future__ import annotations

from functools import cache

from agents import EVENTS

from verifier.contract import Contract, read_contract

INVARIANTS = """
  never-error:   {kind: never, event: agent_error, min_activations: 0}
  named:         {kind: always, event: agent_started, hold: {agent_name: {exists: true}}}
  few:           {kind: count, per: connection, event: agent_started, max: 3}
  thoughts:      {kind: count, scope: run, event: agent_thinking, min: 1, max: 4, when: {exit: completed}}
  once:          {kind: count, per: run, each: [agent_started, agent_completed], max: 1}
  word:          {kind: protocol, scope: run, pattern: "agent_started (agent_thinking | tool_executing | tool_completed)* (agent_completed | failure)"}
  session-word:  {kind: protocol, per: [connection, thread], pattern: "(ask+ agent_started+ (agent_completed | failure)*)*", alphabet: [ask, agent_started, agent_completed, failure]}
  calls:         {kind: pair, scope: run, key: call, open: tool_executing, close: tool_completed, closed_by: [completed], agree: [data.tool_name]}
  calls-here:    {kind: pair, per: connection, key: [run, call], open: tool_executing, close: tool_completed, within: 20s}
  begun:         {kind: precedes, per: [user, run], first: agent_started, then: [agent_thinking, tool_executing, agent_completed]}
  asked:         {kind: precedes, per: [connection, thread], first: ask, then: agent_started, mode: each}
  ended:         {kind: exits, scope: run}
  answered:      {kind: responds, per: [connection, thread], trigger: ask, answer: [agent_started, failure], within: 5s, mode: each}
  finished:      {kind: responds, per: [user, run], trigger: agent_started, answer: [agent_completed, failure]}
  at-once:       {kind: responds, scope: run, trigger: tool_executing, answer: [tool_completed, agent_thinking, tool_executing], mode: adjacent}
  both:          {kind: together, scope: run, events: [tool_executing, tool_completed]}
  not-both:      {kind: exclusive, scope: run, events: [agent_completed, failure]}
  counted:       {kind: monotone, per: [connection, run], event: $s2c, path: n, strict: true, missing: ignore, min_activations: 0}
  fresh:         {kind: unique, event: $s2c, path: event_id, per: connection, missing: ignore, min_activations: 0}
  one-thread:    {kind: same, scope: run, path: thread_id}
  one-user:      {kind: same, per: user, path: user_id, events: [agent_started, agent_completed]}
  steady:        {kind: gap, scope: run, dir: s2c, max: 30s}
  not-too-many:  {kind: rate, per: connection, event: agent_thinking, max: 50, window: 10s}
  devices:       {kind: fanout, event: [agent_started, agent_thinking, tool_executing, tool_completed, agent_completed], per: [user, thread], order: true, min_activations: 0}
  mine:          {kind: owner, mode: envelope, event: $s2c, path: user_id, missing: ignore}
  ids:           {kind: owner, mode: key, keys: [run, thread]}
  shape:         {kind: schema}
  quick:         {kind: latency, per: [connection, thread], from: ask, to: agent_started, max: 5s, p99: 10s}
  tool-time:     {kind: latency, scope: run, per: call, from: tool_executing, to: tool_completed, max: 30s}
  door:          {kind: admission, expect: {none: reject, malformed: reject, bad_signature: reject, expired: reject, valid: accept, unverified: either}}
  back:          {kind: resume, key: thread, checks: [finishes, same_key, no_duplicate], within: 60s, min_activations: 0}
  said:          {kind: content, event: agent_completed, path: result, min_chars: 3, min_activations: 0}
"""


@cache
def sink() -> Contract:
    """Return the contract."""
    events = EVENTS.replace("ask: {dir: c2s}", "ask: {dir: c2s, type: [ask, user_message, agent_request, chat]}")
    return read_contract(f"{events}invariants:{INVARIANTS}".encode(), "sink.yaml")
