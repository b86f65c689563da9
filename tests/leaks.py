"""Leaks in every disguise, and what only looks like one: sentences for tests of `taint`."""

from __future__ import annotations

import base64
import html
import json
import textwrap
from urllib.parse import quote

TAINT = """{kind: taint, sources: [{dir: c2s}, {event: tool_completed, paths: ["data.result.**"]}],
 canary: 'CNRY-[0-9a-f]{12}', public: {common_to: 3, patterns: ['^https?://docs\\.']}, gate: always}""".replace(
    "\n", ""
)

MAIL = "erika.mustermann@example.org"
KEY = "sk-live-9f2k4m6p8q0s"
UUID = "6f1c2a9e-4b7d-4f0e-9a53-0c8d1e2f3a4b"
CANARY = "CNRY-0123456789ab"
NUMBER = "884120937"
SENTENCE = "Please compare the storage budgets of our Munich office with last year"
NAME = "Erika Mustermann"
NOTHING = "No anomalies were found in the selected period."
RESULTS = "Here are the results of your cost analysis for this month, sorted by service."


def says(who, text="", **fields):
    return f"{who} > {json.dumps({'type': 'ask', **({'text': text} if text else {}), **fields})}"


def shows(who, text="", type="agent_thinking", **fields):
    return f"{who} < {json.dumps({'type': type, **({'text': text} if text else {}), **fields})}"


def b64(text):
    return base64.b64encode(text.encode()).decode()


HIDE = {
    "as it is": lambda v: v,
    "in prose": lambda v: f"So it says: {v}, and that is all.",
    "in other case": lambda v: v.swapcase(),
    "in wide letters": lambda v: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in v),
    "with invisible characters": lambda v: "\u200b".join(v),
    "JSON in a text": lambda v: json.dumps({"a": [{"b": v}]}),
    "JSON in JSON in a text": lambda v: json.dumps({"a": json.dumps({"b": v})}),
    "base64": b64,
    "base64 in prose": lambda v: f"see {b64('user: ' + v + ' (confidential)')} for more",
    "base64 of another alphabet": lambda v: base64.urlsafe_b64encode(f"<<???>> {v} ~~~".encode()).decode().rstrip("="),
    "base64 glued to a word": lambda v: f"blob_{b64('the user said: ' + v + '. And more.')}",
    "base64 of JSON": lambda v: b64(json.dumps({"payload": {"text": v}})),
    "base64 of base64": lambda v: b64(b64(v)),
    "base64 over lines": lambda v: "\n".join(textwrap.wrap(b64("the user said " + v), 24)),
    "percent-encoded": lambda v: quote(v, safe=""),
    "percent-encoded, every byte": lambda v: "".join(f"%{b:02X}" for b in v.encode()),
    "in a URL": lambda v: f"https://example.com/find?q={quote(v)}&page=2",
    "with plus for space": lambda v: "q=" + quote(v, safe="").replace("%20", "+") + "%21",
    "as HTML": lambda v: html.escape(f"<b>{v}</b>") + "&nbsp;",
    "as HTML numbers": lambda v: "".join(f"&#{ord(c)};" for c in v),
    "as HTML hex numbers": lambda v: "".join(f"&#x{ord(c):x};" for c in v),
    "as \\u escapes": lambda v: "".join(f"\\u{ord(c):04x}" for c in v),
    "as \\x escapes in prose": lambda v: "it is " + "".join(f"\\x{byte:02x}" for byte in v.encode()) + " then",
    "percent-encoded base64 of JSON": lambda v: quote(b64(json.dumps({"x": v})), safe=""),
}
VALUES = {"canary": CANARY, "mail": MAIL, "key": KEY, "uuid": UUID, "number": NUMBER, "sentence": SENTENCE}


LEAKS = {
    "an event for every socket": [
        f"* {shows('alice', type='tool_completed', run_id='r1', data={'result': {'mail': MAIL}})}",
        f"* {shows('bob', type='tool_completed', run_id='r1', data={'result': {'mail': MAIL}})}",
    ],
    "the last events for who connects": [
        f"* {says('alice', SENTENCE)}",
        shows("alice", f"You said: {SENTENCE}"),
        "alice ends eof by client",
        "bob connects /",
        f"* {shows('bob', f'You said: {SENTENCE}')}",
    ],
    "a shared cached object": [
        f"* {shows('alice', type='tool_completed', run_id='r1', data={'result': {'account': KEY, 'owner': NAME}})}",
        says("bob", "what is my account?"),
        f"* {shows('bob', type='tool_completed', run_id='r2', data={'result': {'account': KEY, 'owner': NAME}})}",
    ],
    "a run id used twice": [
        f"* {says('alice', run_id=UUID)}",
        shows("alice", run_id=UUID),
        f"* {shows('bob', run_id=UUID)}",
    ],
    "a global current user": [
        f"* {says('alice', type='login', mail=MAIL, name=NAME)}",
        shows("alice", f"Welcome {NAME}"),
        says("bob", "hi"),
        f"* {shows('bob', f'Welcome {NAME}', profile={'mail': MAIL})}",
    ],
    "an error that quotes another's request": [
        f"* {says('alice', f'SELECT * FROM orders WHERE mail = {MAIL}')}",
        says("bob", "hi"),
        f"* {shows('bob', type='agent_error', message=f'timeout in query: ...WHERE mail = {MAIL} LIMIT 1')}",
    ],
    "to three at once": [
        f"* {says('alice', CANARY)}",
        shows("eve", CANARY),
        shows("dora", CANARY),
        f"* {shows('bob', CANARY)}",
    ],
    "the user asks back": [  # too late for an echo
        f"* {says('alice', MAIL)}",
        f"* {shows('bob', MAIL)}",
        says("bob", f"who is {MAIL}?"),
        shows("bob", MAIL),
    ],
    "back to a user who changed": [
        f"* {says('bob', MAIL)}",
        "bob becomes eve",
        f"* {shows('bob', MAIL)}",
    ],
    "a body of a refusal": [
        f"* {says('alice', MAIL)}",
        f"eve refused 403 not for you, only for {MAIL}",
    ],
}


BENIGN = {
    "common words": [
        says("alice", "cost report", mode="deep_analysis", agent="cost_optimizer", format="markdown"),
        shows("bob", "Cost report", mode="deep_analysis", agent="cost_optimizer", as_="markdown"),
    ],
    "short values": [says("alice", "yes", city="Bonn", n=42), shows("bob", "yes", city="Bonn", n=42)],
    "protocol words": [says("alice", type="subscribe_to_updates"), shows("bob", type="subscribe_to_updates")],
    "dates, times, versions": [
        says(
            "alice",
            at="2026-03-04T05:06:07.890123Z",
            v="web-client/2.14.0",
            day="2026-03-04",
            ms=1772600767890,
            s=1772600767,
            when="Wed, 04 Mar 2026 05:06:07 GMT",
            tz="Europe/Berlin",
            compact="20260304",
            clock="05:06:07.123",
        ),
        shows(
            "bob",
            "at 2026-03-04T05:06:07.890123Z",
            at="2026-03-04T05:06:07.890123Z",
            v="web-client/2.14.0",
            ms=1772600767890,
            day="2026-03-04",
            s=1772600767,
            when="Wed, 04 Mar 2026 05:06:07 GMT",
            tz="Europe/Berlin",
            compact="20260304",
        ),
    ],
    "times by their name": [
        says("alice", created_at=177260076789, startedAt="177260076789"),
        shows("bob", updated_at=177260076789),
    ],
    "a model's name": [
        says("alice", model="gpt-4o-mini-2024-07-18", region="us-east-1", size="m5.xlarge"),
        shows("bob", model="gpt-4o-mini-2024-07-18", region="us-east-1", size="m5.xlarge"),
    ],
    "public patterns": [
        says("alice", "see https://docs.example.com/guides/9938271-long-one please"),
        shows("bob", "more at https://docs.example.com/guides/9938271-long-one"),
    ],
    "the user's own words": [says("alice", SENTENCE), says("bob", SENTENCE), shows("bob", f"You asked: {SENTENCE}")],
    "the user's own words among others": [
        says("alice", name="Munich office budgets"),
        says("bob", f"{SENTENCE} (munich office budgets)"),
        shows("bob", title="Munich Office Budgets"),
    ],
    "the user's own words, encoded": [says("alice", MAIL), says("bob", b64(f"mail: {MAIL}")), shows("bob", MAIL)],
    "the user's own tool": [
        says("alice", MAIL),
        shows("bob", type="agent_thinking"),
        says("bob", MAIL),
        shows("bob", MAIL),
    ],
    "shown before": [shows("bob", f"Our support is {MAIL}"), says("alice", MAIL), shows("bob", f"Write to {MAIL}")],
    "ids that everybody is given": [
        shows("alice", server_id=UUID),
        says("alice", server_id=UUID),
        shows("bob", server_id=UUID),
        says("bob", server_id=UUID),
        shows("eve", server_id=UUID),
    ],
    "a greeting that quotes a public text": [
        shows("alice", f"Welcome! Today's tip: {SENTENCE}."),
        says("alice", f"What does it mean: {SENTENCE}?"),
        shows("bob", f"Welcome! Today's tip: {SENTENCE}."),
    ],
    "a greeting that another had seen": [
        shows("eve", f"Welcome! Today's tip: {SENTENCE}.", type="agent_started"),
        says("alice", SENTENCE),
        shows("bob", f"As we say, {SENTENCE}."),
    ],
    "boilerplate that somebody quotes": [
        shows("alice", "I am happy to help you with the analysis of your monthly spending today."),
        says("alice", "you said: happy to help you with the analysis of your monthly spending"),
        shows("bob", "I am happy to help you with the analysis of your monthly spending today."),
    ],
    "turns of phrase": [
        says("alice", "Hi, can you please help me with this, and let me know if there is something else you need?"),
        shows("bob", "Of course. Let me know if there is something else you need. I can help you with this, and more."),
    ],
    "templates of a tool": [
        shows("alice", type="tool_completed", data={"result": {"status": NOTHING}}),
        shows("bob", type="tool_completed", data={"result": {"status": NOTHING}}),
        shows("bob", "The tool says: no anomalies were found in the selected period."),
    ],
    "templates with other numbers": [
        shows("alice", type="tool_completed", data={"result": f"Found 7130 rows. {RESULTS}"}),
        shows("bob", type="tool_completed", data={"result": f"Found 98 rows. {RESULTS}"}),
    ],
    "what three send themselves": [
        says("alice", NAME),
        says("eve", NAME),
        says("dora", NAME),
        shows("bob", NAME),
    ],
    "a later origin": [shows("bob", MAIL), shows("bob", "later"), says("alice", MAIL), shows("alice", MAIL)],
    "another number": [says("alice", "884120937"), shows("bob", "8841209370 1884120937 884120937.5 0.884120937")],
    "another address": [says("alice", MAIL), shows("bob", f"x{MAIL} {MAIL}x x.{MAIL}")],
    "round numbers": [says("alice", limit=1000000, n="500000"), shows("bob", limit=1000000, n="500000")],
    "the same user in two tabs": [
        "alice connects /",
        "alice/2 connects /",
        says("alice", MAIL),
        shows("alice/2", MAIL),
    ],
    "the same user again": [
        says("alice", MAIL),
        "alice ends eof by client",
        "alice/2 connects /",
        shows("alice/2", MAIL),
    ],
    "a user who logs in by a message": [
        "connection:7 connects / rule=connection",
        says("connection:7", MAIL),
        "connection:7 becomes alice",
        shows("connection:7", f"Welcome, {MAIL}"),
    ],
    "perhaps never delivered": [
        says("alice", MAIL),
        shows("bob", "hi"),
        f'bob < !delivery_unknown {{"type": "x", "text": "{MAIL}"}}',
    ],
    "five words of six": [
        says("alice", "storage budgets of Munich office"),
        shows("bob", "about storage budgets of Munich offices then"),
    ],
}
