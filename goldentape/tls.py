"""Whom we believe when we connect by TLS: the system's authorities, those of a file, or everybody."""

from __future__ import annotations

import ssl

from goldentape.errors import InputError


def client_context(ca: str | None, insecure: bool) -> ssl.SSLContext:
    """Return the context for a wss:// server; raise InputError for a CA file that is none."""
    try:
        context = ssl.create_default_context(cafile=ca)
    except FileNotFoundError:
        raise InputError("--ca names no file", where=ca) from None
    except (ssl.SSLError, OSError) as error:
        reason = "is not a PEM file of certificates" if isinstance(error, ssl.SSLError) else str(error.strerror)
        raise InputError(f"--ca {reason}", where=ca) from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
