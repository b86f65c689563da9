"""What settings demand that cannot be: rules, tags and keys, looked at before anything listens.  Reads the key only."""

from __future__ import annotations

import re
from ipaddress import ip_address

from goldentape.errors import InputError
from recorder.faults.spec import parse_faults
from recorder.identity import Identifier
from recorder.pseudonym import load_key
from recorder.redact import Redactor
from recorder.settings import Settings

_TAG = re.compile(r"[A-Za-z_][\w.-]{0,63}", re.ASCII)


def demand_possible(settings: Settings) -> None:
    """Raise InputError for a rule, tag, claim or key that cannot be what it should be."""
    if any(not 0 < len(name) <= 64 for name in settings.claim):
        raise InputError("--claim is the name of a claim", found=max(settings.claim, key=len), wanted="role")
    named = set()
    for word in settings.tag:
        name, equals, value = word.partition("=")
        if not equals or not _TAG.fullmatch(name) or not 0 < len(value) <= 256 or not value.isprintable():
            raise InputError("--tag is not a tag", found=word, wanted="NAME=VALUE, such as release=2.3.1")
        if name in named:
            raise InputError("--tag names a tag twice", found=name)
        named.add(name)
    for address in settings.connect_to:
        try:
            ip_address(address)
        except ValueError:
            raise InputError("--connect-to is an IP address", found=address, wanted="127.0.0.1 or ::1") from None
    parse_faults(settings.fault)
    Identifier(settings.identify, None, lambda: 0.0)
    # The fold does the redaction, and would find a bad rule only when messages wait for it already.
    Redactor(bytes(32), settings.redact, settings.redact_pattern, settings.known_subprotocols)
    if settings.redaction_key_file is not None:
        load_key(settings.key_file, create=False)
