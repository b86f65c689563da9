"""`fuzz tape`: violations that the recorded timing merely hid are found, and what causality forbids is not."""

from __future__ import annotations

import json

import pytest
from agents import talk

from verifier.contract import read_contract
from verifier.fuzz.offline.run import fuzz_tape
from verifier.history import Source

HEAD = """\
goldentape: 1
contract: {id: office, version: "1.0.0"}
wire: {format: json, type: type, unknown: ignore, race: 250ms}
keys: {room: {path: room, missing: ignore}, doc: {path: doc, missing: ignore}}
events:
  acquire: {dir: c2s}
  release: {dir: c2s}
  say: {dir: c2s}
  share: {dir: c2s}
  acquired: {}
  released: {}
  said: {}
  typing: {}
  joined: {}
  left: {}
  ticket: {}
  opened: {}
  shared: {}
  created: {}
  closed: {}
  failed: {}
invariants:
"""
LOCK = "{kind: pair, per: recording, open: acquired, close: released, max_open: 1}"
ROOM = "{kind: pair, per: recording, key: room, open: acquired, close: released}"
TURNS = "{kind: protocol, per: recording, pattern: '(acquired released)*'}"
CHAT = "{kind: precedes, per: recording, first: say, then: said}"
PRESENCE = "{kind: protocol, per: recording, pattern: '(joined left)*'}"
GROWS = "{kind: monotone, per: recording, event: ticket, path: number, strict: true}"
SHARES = "{kind: owner, mode: key, keys: [doc], shared_by: shared}"
NOT_BEFORE = "{kind: precedes, per: recording, first: created, then: opened, agree: [doc]}"


def held(user: str, **fields: object) -> list[str]:
    return [f"{user} > {said('acquire', **fields)}", f"{user} < {said('acquired', **fields)}",
            f"{user} > {said('release', **fields)}", f"{user} < {said('released', **fields)}"]  # fmt: skip


def said(type_: str, **fields: object) -> str:
    return json.dumps({"type": type_, **fields})


def report(rule: str, *sentences: str):
    contract = read_contract((HEAD + f"  it: {rule}\n").encode(), "office.yaml")
    return fuzz_tape(contract, Source.of(talk(*sentences).tape))


HIDDEN = {
    "one tool, used one after the other": (LOCK, [*held("alice"), *held("bob")]),
    "a named resource, in every message": (ROOM, [*held("alice", room="gpu"), *held("bob", room="gpu")]),
    "a named resource, again and again": (ROOM, [*held("alice", room="database") * 2, *held("bob", room="database")]),
    "turns": (TURNS, [*held("alice"), *held("bob"), *held("carol")]),
    "two of three at once": (LOCK.replace("max_open: 1", "max_open: 2"),
                             [*held("alice"), *held("bob"), *held("carol")]),
    "an end that comes first": ("{kind: precedes, per: recording, first: opened, then: closed, mode: each}",
                                [f"alice < {said('opened')}", f"alice < {said('closed')}",
                                 f"bob < {said('opened')}", f"bob > {said('say')}", f"bob < {said('closed')}"]),
    "one that overtakes on its way": (GROWS, [f"alice > {said('acquire')}", f"alice < {said('ticket', number=1)}",
                                              f"bob > {said('acquire')}", f"bob < {said('ticket', number=2)}"]),
    "shown before it is shared": (SHARES, [f"alice < {said('created', doc='d-1')}",
                                           f"alice < {said('shared', doc='d-1', with_=['bob'])}",
                                           f"bob < {said('opened', doc='d-1')}"]),
    "nothing of it may come while another fails": (
        "{kind: never, per: recording, event: acquired, scope: {between: [failed, released]}}",
        [f"alice < {said('failed')}", f"alice < {said('released')}", *held("bob")]),
    "two tabs": ("{kind: pair, per: user, open: acquired, close: released, max_open: 1}",
                 ["alice connects", "alice/2 connects", f"alice < {said('acquired')}", f"alice < {said('released')}",
                  f"alice/2 < {said('acquired', n=2)}", f"alice/2 < {said('released', n=2)}"]),
}  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
def test_what_the_timing_hid_is_found(name):
    rule, sentences = HIDDEN[name]

    found = report(rule, *sentences)

    [possible] = found.possible
    assert found.broken == [] and possible.violation is not None
    assert len(possible.slices) <= 3, possible


def test_who_got_the_lower_number_had_asked_before():
    found = report(*[HIDDEN["one that overtakes on its way"][0], *HIDDEN["one that overtakes on its way"][1]])
    [possible] = found.possible
    users = [found.recorded.steps[n].user for n in possible.order]
    names = [found.names.get(n, ("life",))[0] for n in possible.order]
    told = list(zip(users, names, strict=True))

    assert told.index(("alice", "acquire")) < told.index(("bob", "ticket")) < told.index(("alice", "ticket"))


WORDS = "shall we meet at noon?"
FORBIDDEN = {
    "a chat: who is told of it is told after it was said": (CHAT, [
        "alice connects", "bob connects", f"alice > {said('say', text=WORDS)}", f"bob < {said('said', text=WORDS)}"]),
    "a chat of short words": (CHAT, [
        "alice connects", "bob connects", f"alice > {said('say', text='hi')}", f"bob < {said('said', text='hi')}"]),
    "a chat where the same is said twice": ("{kind: pair, per: recording, open: say, close: said}", [
        "alice connects", "bob connects",
        f"alice > {said('say', text=WORDS)}", f"bob < {said('said', text=WORDS)}",
        f"alice > {said('say', text=WORDS)}", f"bob < {said('said', text=WORDS)}"]),
    "a bid": (CHAT, [
        "alice connects", "bob connects", f"alice > {said('say', bid=150)}", f"bob < {said('said', bid=150)}"]),
    "somebody types, told by name": ("{kind: precedes, per: recording, first: say, then: typing}", [
        "alice connects", "bob connects", f"alice > {said('say')}", f"bob < {said('typing', who='alice')}"]),
    "presence: who has joined is there": ("{kind: precedes, per: recording, first: $accept, then: joined, mode: each}",
        ["bob connects", "alice connects", f"bob < {said('joined', user='alice')}"]),
    "presence: who leaves had joined": (PRESENCE, [
        "bob connects", "alice connects", f"bob < {said('joined', user='alice')}", "alice ends eof",
        f"bob < {said('left', user='alice')}"]),
    "a document is there before another opens it": (NOT_BEFORE, [
        f"alice < {said('created', doc='doc-17')}", f"bob > {said('say', doc='doc-17')}",
        f"bob < {said('opened', doc='doc-17')}"]),
    "what a client shares is shared before it is shown": (SHARES.replace("shared_by: shared", "shared_by: share"), [
        f"alice < {said('created', doc='d-1')}", f"alice > {said('share', doc='d-1', to='bob')}",
        f"bob < {said('opened', doc='d-1')}"]),
    "one user, one connection": (LOCK, [*held("alice"), *held("alice"), f"bob > {said('say')}"]),
    "a reconnect": (LOCK.replace("recording", "user"), [
        "alice connects", f"alice < {said('acquired')}", f"alice < {said('released')}", "alice ends eof",
        f"alice/2 < {said('acquired', n=2)}", f"alice/2 < {said('released', n=2)}", f"bob > {said('say')}"]),
    "handed over by a lock of the server's": (LOCK, [
        *held("alice", lock="0f2c4e6a8b0d1f3a"), f"bob > {said('acquire', after='0f2c4e6a8b0d1f3a')}"]),
    "no more than there are": (LOCK.replace("max_open: 1", "max_open: 2"), [*held("alice"), *held("bob")]),
    "an id, twice in no order": ("{kind: unique, per: recording, event: ticket, path: number}", [
        f"alice < {said('ticket', number=1)}", f"bob < {said('ticket', number=2)}"]),
    "one of two ends, each of its user": ("{kind: exclusive, per: user, events: [closed, failed]}", [
        f"alice < {said('closed')}", f"bob < {said('failed')}"]),
    "both of two, somewhere": ("{kind: together, per: recording, events: [opened, closed]}", [
        f"alice < {said('opened')}", f"bob < {said('closed')}"]),
    "a limit on how many a second": ("{kind: rate, per: recording, event: acquired, window: 1s, max: 1}", [
        *held("alice"), "5s", *held("bob"), "5s", *held("carol")]),
    "an answer within a time": ("{kind: pair, per: recording, open: acquired, close: released, within: 2s}", [
        *held("alice"), "30s", *held("bob")]),
    "an answer to a question, within a time": (
        "{kind: responds, per: recording, trigger: acquire, answer: acquired, within: 1s, mode: each}", [
        *held("alice"), "30s", *held("bob")]),
    "every device": ("{kind: fanout, event: said, within: 1s}", [
        "alice connects", "alice/2 connects", f"alice < {said('said', n=1)}", f"alice/2 < {said('said', n=1)}", "5s",
        "bob connects", "bob/2 connects", f"bob < {said('said', n=2)}", f"bob/2 < {said('said', n=2)}", "5s"]),
    "what was shown to one and then said by another": ("{kind: taint, sources: [{dir: c2s}], min: {chars: 8}}", [
        f"bob < {said('said', text='4711-0815-77')}", f"alice > {said('say', text='4711-0815-77')}"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_cannot_have_been_is_not_possible(name):
    rule, sentences = FORBIDDEN[name]

    found = report(rule, *sentences)

    assert found.broken == [] and found.dependent == []
    assert [one.why for one in found.possible] == []


def test_two_who_say_the_same_are_answered_each_to_his_own():
    own = [f"> {said('acquire', text=WORDS)}", f"< {said('acquired', text=WORDS)}", f"< {said('released', text=WORDS)}"]
    both = [f"{who} {way}" for who in ("alice", "bob") for way in own]

    found = report(LOCK, *both)

    assert found.edges == 0 and len(found.possible) == 1


def test_what_crossed_on_its_way_is_about_time():
    crossing = "{kind: exclusive, per: recording, events: [closed, release]}"

    found = report(crossing, f"alice < {said('closed')}", f"bob > {said('release')}")

    assert found.possible == [] and "it" in found.rules.timed
