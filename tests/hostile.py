"""A hundred texts that reports must only ever show, and a tape that has them everywhere a peer can put a text."""

# ruff: noqa: E501

from __future__ import annotations

import json
from pathlib import Path

from contracts import contract
from tapes import Writer

_CALL = "window.pwned=1"
_TAGS = (
    f"<script>{_CALL}</script>", f"</script><script>{_CALL}</script>", f"</SCRIPT ><script>{_CALL}</script>",
    f"<!--<script>{_CALL}//-->", f"--><script>{_CALL}</script>", f"]]><script>{_CALL}</script>",
    f"<img src=x onerror={_CALL}>", f"<img src=x onerror='{_CALL}'", f'"><img src=x onerror="{_CALL}">',
    f"'><img src=x onerror={_CALL}>", f"<svg onload={_CALL}>", f"<svg/onload={_CALL}//", f"<svg><script>{_CALL}</script>",
    f"<body onload={_CALL}>", f"<iframe srcdoc='<script>parent.{_CALL}</script>'>", "<iframe src=//evil.example>",
    f"<details open ontoggle={_CALL}>", f"<input autofocus onfocus={_CALL}>", f"<video><source onerror={_CALL}>",
    f"<math><mi xlink:href=javascript:{_CALL}>", f"<a href=javascript:{_CALL}>x</a>", f"<form action=javascript:{_CALL}>",
    "<base href=//evil.example>", "<meta http-equiv=refresh content='0;url=//evil.example'>", "<link rel=stylesheet href=x>",
    "<style>*{display:none}</style>", "</style><b>", "</title><b>", "</textarea><b>", "</noscript><b>", "<plaintext>",
    "<template><b>", "<object data=//evil.example>", "<embed src=//evil.example>", f"<marquee onstart={_CALL}>",
    f"<style>@import'//evil.example'</style><b onmouseover={_CALL}>", "<xmp>", "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///'>]>",
    "<?xml version='1.0'?>", "<![CDATA[x]]>", "&lt;script&gt;", "&#60;script&#62;", "&#0;", "&amp;amp;", "<", ">", "&", '"', "'",
)  # fmt: skip
_SCRIPTS = (
    f"javascript:{_CALL}", f"JaVaScRiPt:{_CALL}", f"java\tscript:{_CALL}", f"data:text/html,<script>{_CALL}</script>",
    f"vbscript:{_CALL}", f"';{_CALL};'", f'";{_CALL};"', f"`;{_CALL};`", f"${{{_CALL}}}", f"{{{{{_CALL}}}}}", f"\\';{_CALL}//",
    "__proto__", "constructor", "toString", "hasOwnProperty", "prototype", "NaN", "null", "undefined", "-0", "[object Object]",
)  # fmt: skip
_SIGNS = (
    "\u2028", "\u2029", "a\u2028b\u2029c", "\u202eevil", "\u2066x\u2069", "\u200b", "\ufeff", "\x00", "a\x00b", "\x07", "\x1b[31mred",
    "\x1b]0;title\x07", "\x7f", "\x85", "\ufffe", "\uffff", "\U000e0041", "\U0010ffff", "é\u0301", "👩‍👩‍👧", "a\r\nb", "\r", "\t",
)  # fmt: skip
_STYLES = (
    "expression(1)",
    "url(//evil.example)",
    "}*{display:none}",
    "/*",
    "*/",
    "\\3c script",
    "red;background:url(x)",
)
_COMMANDS = (
    "::add-mask::x", "::error::fake", "::stop-commands::x", "##[error]fake", "##vso[task.complete result=Failed]",
    "%0A::error::fake", "%25", "a,b:c%", "`code`", "``` \n# title", "@everyone", "![x](//evil.example)", "[x](javascript:1)",
    "| a | b |", "</details>", "#1", "</testcase>", "$(id)", "; rm -rf x",
)  # fmt: skip
_SIZES = ("x" * 200_000, "<" * 5_000, "\u202e" * 3_000, "👋" * 2_000, " " * 4_000, "")

HOSTILE = (*_TAGS, *_SCRIPTS, *_SIGNS, *_STYLES, *_COMMANDS, *_SIZES)
assert len(set(HOSTILE)) == len(HOSTILE) >= 100

CONTRACT = contract(
    wire="wire: {format: json, type: type, unknown: violation}",
    events="events: {ask: {dir: c2s}, done: {}, rude: {}}",
    invariants="""invariants:
  calm: {kind: never, event: rude}
  mine: {kind: owner, mode: envelope, event: $s2c, path: user_id}
  said: {kind: never, event: $close, where: {"@text": {pattern: "."}}}
""",
)
"""Finds much to tell of in the tape."""


def hostile_tape(path: Path, texts: tuple[str, ...] = HOSTILE) -> Path:
    """Write a tape: each text is the name of a user, of an event, of a field, a value, a header, a path, a reason."""
    writer = Writer(path)
    for number, text in enumerate(texts):
        who, said = f"u{number}", json.dumps(text)
        writer.say(f"{who} connects /")
        made, name = writer.connections[who], text or "(empty)"
        made.user = name
        writer.writer.update_connection(
            made.number, user=writer.writer.user(name, "query:user"), target=f"/{text}", subprotocol=text, reason=text,
            request=json.dumps([[text, text], ["Cookie", text]]), response=json.dumps([["X", text]]),
        )  # fmt: skip
        writer.say(f'{who} > {{"type": "ask", "text": {said}}}')
        writer.say(f'{who} < {{"type": "rude", "user_id": {said}, {said}: {said}, "run_id": {said}}}')
        writer.say(f'{who} < {{"type": {said}, "user_id": "somebody else"}}')
        if text and text[0] not in "!#0(" and "\r" not in text and "\n" not in text and len(text) < 120:
            writer.say(f"{who} < {text}")
        writer.say(f'{who} < {{"type": "done", "half": "\\ud800"}}')
        short = text.encode()[:100].decode("utf-8", "ignore").replace("\n", " ").replace("\r", " ")
        writer.say(f"{who} < (close 1000 {short})")
        writer.say(f"{who} > (close 1000)")
        writer.mark("note", {"text": text}, None)
    writer.finish()
    return path
