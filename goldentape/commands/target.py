"""The server that a command drives: which one, whether it may be driven at all, and where on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from urllib.parse import urlsplit

from goldentape.errors import InputError
from goldentape.hosts import demand_mine


def read_target(text: str, owned: Collection[str]) -> tuple[str, str, tuple[str, ...]]:
    """Return (URL without a path, path, addresses to dial) of `--target`.

    Raises InputError for what is no WebSocket URL, and for a server that is not on this machine unless `owned` names
    its host once more, whose address is looked up when it is dialled.
    """
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise InputError("--target is not an address", found=text, wanted="ws://HOST:PORT") from None
    if url.scheme not in ("ws", "wss") or not url.hostname:
        raise InputError("--target must be ws:// or wss://", found=text, wanted="ws://HOST:PORT, perhaps with a path")
    if url.username or url.password:
        raise InputError("credentials in --target are not accepted", fix="use --map, --token-command or --jwt-key-file")
    if url.fragment or url.query:
        raise InputError("--target ends with its path; query and fragment come from the tape", found=text)
    addresses = demand_mine(url.hostname, owned)
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{url.scheme}://{host}" + (f":{port}" if port is not None else ""), url.path.rstrip("/"), addresses


def mapped_path(path: str, targets: Iterable[str]) -> Callable[[str], str]:
    """Return which target to ask for in place of a recorded one, where `--target` has `path`.

    A path that all recorded targets begin with is already in them.  Where they all have one path, `path` is meant
    instead of it; else it is put before them.
    """
    paths = {target.partition("?")[0] for target in targets}
    if not path or all(p == path or p.startswith(path + "/") for p in paths):
        return lambda target: target
    if len(paths) == 1:
        return lambda target: path + target[len(target.partition("?")[0]) :]
    return lambda target: path + target


__all__ = ["mapped_path", "read_target"]
