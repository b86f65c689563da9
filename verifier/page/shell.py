"""The page itself: one HTML file with its style, its script and its data, which opens from disk and asks for nothing.

`default-src 'none'` and the hashes of its own script and style are its whole policy.  What was recorded is deflated
and in base64, but for the headlines, which are escaped; the script puts text into text nodes only.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from verifier.page.gather import Gathered
from verifier.page.packing import packed

SCRIPTS = ("model.js", "view.js", "lanes.js", "text.js", "side.js", "panel.js", "filter.js", "pointer.js", "main.js")
"""In this order they are one script."""


@cache
def _read(name: str) -> str:
    return files("verifier.page").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def pieces(title: str, headlines: Iterable[str], about: Any, tapes: Iterable[Gathered]) -> Iterator[str]:
    """Yield the page; `headlines` are for who opens it without a script, `about` is what the script knows of all."""
    style = _read("page.css")
    script = "'use strict';(()=>{\n" + "\n".join(_read(name) for name in SCRIPTS) + "\n})();\n"
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none';"
        " form-action 'none'"
    )
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
    )
    yield _read("page.html")
    yield f"<noscript>\n<h1>{escape(title)}</h1>\n<p>This page draws the tape with a script.</p>\n<ul>\n"
    yield from (f"<li>{escape(line)}</li>\n" for line in headlines)
    yield "</ul>\n</noscript>\n"
    yield from _data("about", packed(about))
    for place, one in enumerate(tapes):
        yield from _data(f"facts-{place}", packed({**one.facts, "leftOut": one.left_out}))
        for name, column in one.columns.items():
            yield from _data(f"{name}-{place}", column)
        yield from _data(f"texts-{place}", one.texts)
        yield from _data(f"heads-{place}", one.heads)
    yield f"<script>{script}</script>\n</body>\n</html>\n"


def _data(id: str, text: str) -> Iterator[str]:
    yield f'<script type="text/plain" id="{id}">{text}</script>\n'
