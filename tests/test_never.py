"""`never`: what breaks it, and what only looks like it."""

import pytest
from agents import expect

CRASHED = "{kind: never, event: crashed, gate: always}"
TEXT = '{kind: never, event: $any, where: {"@text": {pattern: FactoryInitializationError}}}'
IN_RUN = "{kind: never, event: agent_error, scope: run}"


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (CRASHED, ["bob > ask t1", "* bob < (close 1011 oops)", "bob ends eof by server"]),
        (CRASHED, ["bob > ask t1", "* bob < (close 1011)", "bob > (close 1011)"]),
        (CRASHED, ["bob connects /chat", "* bob < (close 1011)", "bob ends reset by server"]),  # in the handshake race
        (CRASHED, ["bob > ask t1", "bob ends reset by server"]),  # 1006: the server vanished
        (CRASHED, ["bob > ask t1", "bob ends eof by server"]),
        (TEXT, ["bob > ask t1", "* bob < agent_error message=FactoryInitializationError:x"]),
        (TEXT, ["bob > ask t1", "* bob < (close 1000 FactoryInitializationError)", "bob > (close 1000)"]),
        (TEXT, ["bob refused 500 FactoryInitializationError at start", "bob > ask"]),
        (TEXT, ["bob > ask t1", "* bob < {plain text with FactoryInitializationError"]),
        (TEXT, ["bob > ask t1", f"* bob < 0x00ff{b'FactoryInitializationError'.hex()}"]),
        (TEXT, ["bob > (close 1000)", "* bob < agent_error message=FactoryInitializationError", "bob ends eof"]),
        (IN_RUN, ["bob < agent_started r1", "* bob < agent_error r1"]),
        (IN_RUN, ["bob < agent_started r1", "bob ends eof by client", "* bob/2 < agent_error r1"]),
    ],
)
def test_what_must_never_occur_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (CRASHED, ["bob > ask t1", "bob < (close 1000)", "bob > (close 1000)"]),
        (CRASHED, ["bob > (close 1011 my own trouble)", "bob < (close 1011)"]),  # the client's close, echoed
        (CRASHED, ["bob > ask t1", "bob ends reset by client"]),
        (CRASHED, ["bob > ask t1", "bob ends eof by client"]),
        (CRASHED, ["bob < (close 1001 going away)", "bob ends eof by client"]),
        (CRASHED, ["bob > ask t1", "bob ends lost by recorder"]),
        (CRASHED, ["bob refused 403", "bob > ask"]),
        (CRASHED, ["bob > ask t1", "bob < !delivery_unknown (close 1011)"]),
        (TEXT, ["bob > ask t1", "bob < agent_error message=FactoryInitialization"]),
        (TEXT, ["bob refused 500 no such thing", "bob > ask"]),
        (IN_RUN, ["bob < agent_started r1", "bob < agent_completed r1", "bob < agent_error r1"]),
        (IN_RUN, ["bob < agent_started r1", "bob < agent_error r2", "bob < agent_completed r1"]),
        (IN_RUN, ["bob < agent_started r1", "eve < agent_error r1", "bob < agent_completed r1"]),
    ],
)
def test_what_only_looks_like_it_is_not(invariant, sentences):
    expect(invariant, "pass", *sentences)


def test_it_watches_each_connection_and_is_vacuous_without_any():
    expect("{kind: never, event: crashed, scope: run}", "vacuous", "bob > ask t1")


def test_a_close_by_the_client_is_the_clients_fault_and_only_warns():
    expect("{kind: never, event: $close}", "pass", "bob > (close 1000)", "bob < (close 1000)")
    expect("{kind: never, event: $close}", "fail", "bob < (close 1000)", "bob > (close 1000)")


def test_how_a_connection_ended_that_was_open_in_a_gap_is_not_known():
    expect(CRASHED, "pass", "bob > ask t1", "mark gap", "bob ends reset by server")
    expect(CRASHED, "pass", "bob > ask t1", "bob ends reset by server", "1s", 'mark gap {"ns": 2000000000}')
    expect(CRASHED, "fail", "mark gap", "1s", "bob > ask t1", "bob ends reset by server")
