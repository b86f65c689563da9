"""Whose machine a host leads to: what may be driven, what must be named once more, and which address is dialled."""

from __future__ import annotations

import socket
import threading

import pytest

from goldentape import hosts
from goldentape.errors import InputError
from goldentape.hosts import addresses, demand_mine, is_loopback

LED = {
    "app.test": ["127.0.0.1"],
    "both.test": ["::1", "127.0.0.1"],
    "rebound.test": ["127.0.0.1", "203.0.113.7"],
    "staging.test": ["203.0.113.7"],
    "localhost": ["203.0.113.7"],
}
"""A hosts file, and names that lead astray."""


@pytest.fixture
def resolver(monkeypatch):
    """Answers for the machine's resolver: that is the edge of the world."""
    asked = []

    def look(host, port, *, type):
        asked.append(host)
        if host not in LED:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [(socket.AF_INET, type, 6, "", (address, 0)) for address in LED[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look)
    return asked


@pytest.mark.parametrize(
    ("host", "dialled"),
    [
        ("127.0.0.1", ("127.0.0.1",)), ("127.0.0.2", ("127.0.0.2",)), ("::1", ("::1",)), ("[::1]", ("::1",)),
        ("::ffff:127.0.0.1", ("::ffff:7f00:1", "::ffff:127.0.0.1")), ("app.test", ("127.0.0.1",)),
        ("APP.test.", ("127.0.0.1",)), ("both.test", ("::1", "127.0.0.1")),
    ],
)  # fmt: skip
def test_this_machine_is_dialled_by_the_addresses_that_were_looked_at(resolver, host, dialled):
    found = demand_mine(host, ())

    assert set(found) <= set(dialled) and found


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("staging.test", "found 203.0.113.7, which it leads to: .* --i-own-this-host staging.test$"),
        ("rebound.test", "found 203.0.113.7, which it leads to"),
        ("localhost", "found 203.0.113.7, which it leads to"),
        ("nowhere.test", "nowhere.test: is not this machine, .*: if it is yours .* --i-own-this-host nowhere.test$"),
        ("10.0.0.8", "10.0.0.8: is not this machine"),
        ("fe80::1%eth0", "is not this machine"),
        ("::ffff:8.8.8.8", "is not this machine"),
        ("0.0.0.0", "0.0.0.0: is where a server listens, .*: say 127.0.0.1 instead"),
        ("::", r"say \[::1\] instead"),
    ],
)
def test_what_leads_elsewhere_must_be_named_once_more(resolver, host, words):
    with pytest.raises(InputError, match=words):
        demand_mine(host, ("other.test",))

    assert demand_mine(host, (host.upper(),)) == (), "its owner may look it up anew"


def test_an_owned_host_is_not_looked_up(resolver):
    demand_mine("staging.test", ("staging.test",))

    assert resolver == []


def test_real_names_of_this_machine_are_loopback():
    found = addresses("localhost")

    assert found and all(map(is_loopback, found)) and demand_mine("localhost", ()) == found


def test_a_resolver_that_does_not_answer_is_not_waited_for(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(hosts, "LOOKING", 0.01)

    def look(*_, **__):
        over.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look)

    with pytest.raises(InputError, match="is not this machine"):
        demand_mine("slow.test", ())
    over.set()
