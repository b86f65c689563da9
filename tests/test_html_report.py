"""The HTML report in a real browser: opened from disk, clicked, typed at, and fed a hundred hostile texts."""

from __future__ import annotations

import base64
import json
import re
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from contracts import contract
from hostile import CONTRACT, HOSTILE, hostile_tape
from hypothesis import given
from hypothesis import strategies as st
from tapes import home, write

from goldentape.cli import main
from goldentape.tape import open_tape
from verifier.page.gather import NEAR, Budget, gather
from verifier.page.packing import CHUNK, HAS_TEXT, SEVERAL, Column, Texts, fair

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
browsing = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code)


def talk(*people: str, broken: str = "bob") -> list[str]:
    said = [f"{who} connects /chat" for who in people]
    for who in people:
        said.append(f'{who} > {{"type": "ask", "thread_id": "t-{who}", "text": "hello from {who}"}}')
        for number, name in enumerate(("started", "thought", "tool", "tool_done", "done")):
            if who != broken or name != "tool_done":
                said.append(
                    f'{who} < {{"type": "{name}", "run_id": "r-{who}", "big": 12345678901234567890, "n": {number}}}'
                )
        said += [f"{who} > (close 1000)", f"{who} < (close 1000)"]
    return said


AGENTS = contract(
    events="events: {ask: {dir: c2s}, started: {}, thought: {}, tool: {}, tool_done: {}, done: {}}",
    spans="spans: {run: {open: started, key: run, exits: {ok: done}}}",
    invariants="""invariants:
  tools: {kind: pair, scope: run, open: tool, close: tool_done, key: run}
  calm: {kind: never, event: thought, severity: warning}
""",
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """A directory with pages, made by the command."""
    home = tmp_path_factory.mktemp("pages")
    (home / "agents.yaml").write_text(AGENTS)
    (home / "hostile.yaml").write_text(CONTRACT)
    write(home / "talk.tape", *talk("alice", "bob", "chloe"))
    write(home / "good.tape", *talk("dora", broken=""))
    hostile_tape(home / "hostile.tape")
    assert run("report", home / "talk.tape", "-o", home / "talk.html", "--contract", home / "agents.yaml") == 0
    assert run("report", home / "talk.tape", "-o", home / "plain.html") == 0
    assert run("report", home / "talk.tape", home / "good.tape", "-o", home / "two.html", "--contract",
               home / "agents.yaml", "--contract", home / "hostile.yaml") == 0  # fmt: skip
    assert run("report", home / "hostile.tape", "-o", home / "hostile.html", "--contract", home / "hostile.yaml") == 0
    return home


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with playwright.sync_playwright() as started:
        made = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield made
        made.close()


class Opened:
    """A page that was opened from disk, and everything that it complained of or asked for."""

    def __init__(self, browser, path: Path, **options) -> None:
        self.context = browser.new_context(viewport={"width": 1300, "height": 800}, **options)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: self.errors.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        if options.get("java_script_enabled", True):
            self.page.wait_for_selector("body[data-ready]")

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def settled(self, selector: str, text: str) -> None:
        """Wait until an element says something."""
        self.page.locator(selector, has_text=text).first.wait_for()


@pytest.fixture
def opened(browser, pages) -> Iterator[object]:
    made: list[Opened] = []

    def open_page(name: str, **options) -> Opened:
        made.append(Opened(browser, pages / name, **options))
        return made[-1]

    yield open_page
    for one in made:
        assert one.errors == []
        assert [url for url in one.requests if not url.startswith("file:")] == []
        one.context.close()


# -- opened, clicked, typed at


@browsing
def test_the_page_opens_from_disk_and_says_what_was_found(opened):
    page = opened("talk.html")

    assert page.text("#title").endswith("talk.tape")
    assert "3 users · 3 connections · " in page.text("#numbers")
    assert page.text("#verdict") == "fail: 1 violation"
    rows = page.page.locator("[data-violation]")
    assert rows.count() == 2
    assert "tools" in rows.first.inner_text()
    assert len(page.requests) == 1


@browsing
def test_a_click_on_a_violation_shows_its_proof_and_from_there_the_message(opened):
    page = opened("talk.html")

    page.page.locator("[data-violation]").first.click()
    page.settled("#detail h2", "tools")
    assert "never closed" in page.text("#detail")
    assert "agents.yaml:" in page.text("#detail")
    page.page.locator(".proof button").nth(1).click()
    page.settled("#detail h2", "tool")
    pre = page.text("#detail pre")
    assert '"run_id": "r-bob"' in pre
    assert '"big": 12345678901234567890' in pre  # as it was sent, not as a double
    page.page.get_by_text("← Proof").click()
    page.settled("#detail h2", "tools")
    page.page.get_by_label("Close details").click()
    assert page.page.locator("#detail").is_hidden()


@browsing
def test_what_is_on_the_canvas_can_be_hovered_and_clicked(opened):
    page = opened("plain.html")
    canvas = page.page.locator("#canvas")
    box = canvas.bounding_box()

    found = set()
    for y in range(32, 200, 12):
        for x in range(205, int(box["width"]) - 10, 12):
            page.page.mouse.move(box["x"] + x, box["y"] + y)
            if "hot" in (canvas.get_attribute("class") or ""):
                page.page.mouse.click(box["x"] + x, box["y"] + y)
                page.page.locator("#detail h2").wait_for()
                found.add(re.split(r"\W+", page.text("#detail h2").lstrip("←→ "))[0])
                page.keys("Escape")
        if {"Connection", "run_id", "ask"} <= found:
            break

    assert {"Connection", "run_id", "ask"} <= found
    page.page.mouse.move(box["x"] + 20, box["y"] + 60)
    page.page.mouse.click(box["x"] + 20, box["y"] + 60)  # a user's name
    page.settled("#where", "1 user of 3")


@browsing
def test_everything_can_be_reached_by_the_keyboard(opened):
    page = opened("talk.html")
    whole = page.text("#where")

    page.keys("n")
    page.settled("#detail h2", "tools")
    page.settled("#live", "Violation of tools")
    page.keys("n")
    page.settled("#detail h2", "calm")
    page.keys("p", "j")
    page.settled("#detail h3", "Message")
    first = page.text("#detail dl")
    page.keys("k")
    page.page.wait_for_function("was => document.querySelector('#detail dl').innerText !== was", arg=first)
    page.keys("Escape")
    assert page.page.locator("#detail").is_hidden()
    page.keys("+", "+", "ArrowRight")
    assert page.text("#where") != whole
    page.keys("0")
    assert page.text("#where") == whole
    page.keys("?")
    assert page.page.locator("#help").is_visible()
    page.keys("Escape", "/")
    page.page.keyboard.type("user:bob")
    page.settled("#where", "1 user of 3")
    page.keys("Escape")
    page.settled("#where", "3 users")
    page.keys("[", "[", "]", "v")
    page.page.wait_for_function("!document.querySelector('#where').innerText.includes('of 4')")


FILTERS = [
    ("user:bob", "1 user of 3"), ("bob", "1 user of 3"), ("b*b", "1 user of 3"), ("event:tool_done", "2 users of 3"),
    ("run:r-chloe", "1 user of 3"), ("invariant:tools", "1 user of 3"), ("tools", "1 user of 3"),
    ("user:bob event:tool_done", "0 users of 3"), ("user:(", "0 users of 3"), ('user:"alice"', "1 user of 3"),
]  # fmt: skip


@browsing
def test_users_runs_events_and_invariants_can_be_filtered(opened):
    page = opened("talk.html")
    for text, said in FILTERS:
        page.page.fill("#search", text)
        page.settled("#where", said)
        assert page.page.locator("#empty").is_visible() is said.startswith("0")
    page.page.fill("#search", "")
    page.settled("#where", "3 users")
    page.page.locator("[data-kind]", has_text="tool_done").click()
    page.settled("#where", "2 users of 3")


@browsing
def test_wheel_drag_and_overview_move_and_zoom(opened):
    page = opened("talk.html")
    box = page.page.locator("#canvas").bounding_box()
    x, y = box["x"] + 500, box["y"] + 90
    seen = [page.text("#where")]

    page.page.mouse.move(x, y)
    page.page.keyboard.down("Control")
    page.page.mouse.wheel(0, -300)
    page.page.keyboard.up("Control")
    page.page.wait_for_function("was => document.querySelector('#where').innerText !== was", arg=seen[-1])
    seen.append(page.text("#where"))
    page.page.mouse.down()
    page.page.mouse.move(x - 200, y, steps=4)
    page.page.mouse.up()
    seen.append(page.text("#where"))
    over = page.page.locator("#overview").bounding_box()
    page.page.mouse.move(over["x"] + 400, over["y"] + 20)
    page.page.mouse.down()
    page.page.mouse.move(over["x"] + 500, over["y"] + 20, steps=4)
    page.page.mouse.up()
    seen.append(page.text("#where"))
    page.page.mouse.dblclick(x, y)
    seen.append(page.text("#where"))
    assert len(set(seen)) == len(seen)


@browsing
def test_it_is_dark_where_the_system_is_and_can_be_changed(opened):
    def paper(page: Opened) -> str:
        return page.page.evaluate("getComputedStyle(document.body).backgroundColor")

    light, dark = paper(opened("talk.html")), opened("talk.html", color_scheme="dark")
    assert paper(dark) != light
    dark.page.click("#theme")
    assert paper(dark) == light


@browsing
def test_several_tapes_are_one_page(opened):
    page = opened("two.html")

    assert page.page.locator("#tape option").count() == 2
    page.page.select_option("#tape", "1")
    page.settled("#title", "good.tape")
    page.settled("#where", "1 user")
    page.keys("j")
    page.settled("#detail h3", "Message")


# -- hostile text


@browsing
def test_no_recorded_text_becomes_anything_but_text(opened):
    page = opened("hostile.html")
    document = page.page

    scripts, styles = (document.locator(tag).count() for tag in ("script", "style"))
    # Each violation, each record of its proof, each message's connection, each kind of event.
    told = document.evaluate(
        """async () => {
          const frame = () => new Promise((done) => requestAnimationFrame(done));
          const until = async (holds) => { while (!holds()) await frame(); };
          const headings = () => [...document.querySelectorAll('#detail h3')].map((one) => one.innerText);
          const heading = (word) => headings().some((one) => one.startsWith(word));
          const names = new Set();
          const look = () => document.querySelectorAll('*').forEach((one) => names.add(one.localName));
          let messages = 0;
          for (const row of document.querySelectorAll('[data-violation]')) {
            row.click();
            await until(() => heading('PROOF'));
            look();
            document.querySelector('.proof li:last-child button').click();
            await until(() => heading('MESSAGE') || heading('REQUEST'));
            look();
            messages += heading('MESSAGE');
            document.querySelector('#detail dd button')?.click();
            await until(() => heading('REQUEST'));
            look();
          }
          for (const row of document.querySelectorAll('[data-kind]')) { row.click(); await frame(); }
          return [[...names], messages];
        }"""
    )
    shown, messages = set(told[0]), told[1]
    assert messages > 100
    allowed = {
        "html", "head", "meta", "title", "style", "body", "script", "noscript", "div", "header", "span", "h1", "h2",
        "h3", "label", "select", "option", "p", "button", "nav", "input", "main", "aside", "section", "canvas",
        "footer", "dialog", "dl", "dt", "dd", "ul", "ol", "li", "pre", "b", "details", "summary",
    }  # fmt: skip
    for text in HOSTILE:
        if 0 < len(text) < 100 and '"' not in text:
            document.fill("#search", f'user:"{text}"')
            document.evaluate("document.querySelector('#search').dispatchEvent(new Event('input'))")
    assert shown <= allowed
    assert document.evaluate("window.pwned") is None
    assert (document.locator("script").count(), document.locator("style").count()) == (scripts, styles)
    attributes = document.evaluate(
        "[...document.querySelectorAll('*')].flatMap((e) => e.getAttributeNames()).filter((n) => n.startsWith('on'))"
    )
    assert attributes == []
    assert document.evaluate("document.querySelectorAll('[href], [src], [action], [srcdoc]').length") == 0


@browsing
def test_what_cannot_be_seen_is_spelt_out(opened, pages, tmp_path):
    write(tmp_path / "a.tape", 'alice > {"type": "ask", "text": "a\\u202eb\\u0000c\\u2028d"}', "alice < x\u202ey")
    assert run("report", tmp_path / "a.tape", "-o", pages / "odd.html", "--force") == 0
    page = opened("odd.html")

    page.keys("j")
    page.settled("#detail pre", "\\u202e")  # JSON's own escape stays as it was sent
    page.keys("j")
    page.settled("#detail pre .esc", "\\u{202e}")


@browsing
def test_without_a_script_it_says_what_was_found(opened):
    page = opened("hostile.html", java_script_enabled=False)

    assert page.page.locator("noscript li").count() > 3
    assert set(page.page.evaluate("[...document.body.querySelectorAll('*')].map((one) => one.localName)")) <= {
        "noscript", "h1", "p", "ul", "li", "script", "div", "header", "span", "label", "select", "button", "nav",
        "input", "option", "main", "aside", "section", "canvas", "footer", "dialog",
    }  # fmt: skip


def test_the_policy_allows_nothing_but_the_pages_own_script_and_style(pages):
    text = (pages / "hostile.html").read_text("utf-8")

    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert text.count("<script>") == 1
    bare = re.sub(r"<script>.*?</script>|<noscript>.*?</noscript>", "", text, flags=re.DOTALL)
    assert not re.search(r"https?://|\bon[a-z]+=|\bstyle=", bare)
    assert "pwned" not in re.sub(r"<noscript>.*?</noscript>|<title>.*?</title>", "", text, flags=re.DOTALL)


# -- what is in it


def blocks(path: Path) -> dict[str, str]:
    return dict(re.findall(r'<script type="text/plain" id="([a-z]+-?\d*)">([^<]*)</script>', path.read_text("utf-8")))


def unpacked(text: str) -> object:
    return json.loads(zlib.decompress(base64.b64decode(text)))


def numbers(text: str) -> list[int]:
    found, value, shift = [], 0, 0
    for byte in zlib.decompress(base64.b64decode(text)):
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            found.append(value)
            value = shift = 0
    return found


@given(st.lists(st.integers(0, 1 << 70)))
def test_numbers_are_packed_without_loss(values):
    column = Column()
    for value in values:
        column.add(value)

    assert numbers(column.done()) == values


@given(st.lists(st.integers(0, 1000), max_size=20), st.integers(0, 5000))
def test_a_fair_share_uses_what_there_is_and_no_more(sizes, total):
    share = fair(sizes, total)

    given_ = [min(size, share) for size in sizes]
    assert sum(given_) <= total
    assert given_ == sizes or sum(min(size, share + 1) for size in sizes) > total


def test_every_message_is_in_the_page_of_a_small_tape(pages):
    found = blocks(pages / "plain.html")
    facts = unpacked(found["facts-0"])
    texts = [text for line in found["texts-0"].split("\n") for text in unpacked(line)]

    with open_tape(pages / "talk.tape") as tape:
        events = [event for user in tape.users() for event in tape.events(user=user.name)]
    assert len(numbers(found["seq-0"])) == len(events) == sum(facts["counts"])
    kinds = [facts["kinds"][place] for place in numbers(found["kind-0"])]
    assert [direction for _, direction in kinds] == [int(event.direction) for event in events]
    assert texts[0] == events[0].payload.decode()
    assert len(texts) == len(events)
    assert facts["leftOut"] == []
    assert {tuple(run[:3]) for run in facts["runs"]} == {(n, "run_id", f"r-{who}") for n, who in
                                                        enumerate(("alice", "bob", "chloe"))}  # fmt: skip


def test_what_does_not_fit_is_drawn_together_but_near_violations_and_that_is_said():
    people = [f"u{n}" for n in range(4)]
    said = [f'{who} < {{"type": "t{n % 3}", "n": {n}}}' for n in range(500) for who in people]
    path = write(home() / "large.tape", *said)
    with open_tape(path) as tape:
        [seq] = [event.seq for event in tape.events(user="u1") if b'"n": 250}' in event.payload]
        found = gather(tape, [], [("u1", seq)], Budget(events=200, raw=2000, texts=100, texts_near=10_000_000))

    flags, seqs = numbers(found.columns["flags"]), numbers(found.columns["seq"])
    shown = [lane[3] for lane in found.facts["lanes"]]
    assert sum(shown) == len(flags) < 400
    extra = numbers(found.columns["extra"])
    assert sum(extra[::2]) + sum(not flag & SEVERAL for flag in flags) == 2000  # none is lost
    begin = shown[0]
    mine = flags[begin : begin + shown[1]]
    assert sum(1 for flag in mine if flag & HAS_TEXT and not flag & SEVERAL) >= 2 * NEAR + 1
    assert seqs
    assert any("one by one" in line for line in found.left_out)


def test_texts_are_cut_into_chunks():
    texts = Texts()
    for number in range(2 * CHUNK + 1):
        texts.add(number)

    assert [unpacked(line) for line in texts.done().split("\n")] == [
        list(range(CHUNK)), list(range(CHUNK, 2 * CHUNK)), [2 * CHUNK]
    ]  # fmt: skip


def test_a_thousand_users_fit(tmp_path):
    said = [f'u{user} < {{"type": "t", "run_id": "r{user}-{n}", "pad": "{user * 7919 + n}"}}' for n in range(12)
            for user in range(1000)]  # fmt: skip
    write(tmp_path / "a.tape", *said)

    assert run("report", tmp_path / "a.tape", "-o", tmp_path / "a.html") == 0
    assert (tmp_path / "a.html").stat().st_size < 20_000_000


def test_without_excerpts_it_has_nothing_of_what_messages_said(tmp_path, pages):
    assert run("report", pages / "talk.tape", "-o", tmp_path / "a.html", "--no-excerpts", "--contract",
               pages / "agents.yaml") == 0  # fmt: skip

    found = blocks(tmp_path / "a.html")
    assert found.get("texts-0", "") == ""
    assert "hello from" not in json.dumps([unpacked(found["facts-0"]), unpacked(found["about"])])
    assert "said" in unpacked(found["facts-0"])["leftOut"][0]


# -- the command


def test_verify_writes_the_same_page(tmp_path, pages, monkeypatch):
    monkeypatch.chdir(pages)
    arguments = ("talk.tape", "--contract", "agents.yaml")
    assert run("verify", *arguments, "--report", f"html={tmp_path / 'a.html'}", "--quiet") == 1
    assert run("report", *arguments, "-o", tmp_path / "b.html") == 0

    one, two = blocks(tmp_path / "a.html"), blocks(tmp_path / "b.html")
    assert {name: text for name, text in one.items() if name != "about"} == {
        name: text for name, text in two.items() if name != "about"
    }
    assert unpacked(one["about"])["tapes"] == unpacked(two["about"])["tapes"]


def test_what_cannot_be_drawn_is_refused_in_one_line(tmp_path, pages, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no.tape").write_bytes(b"no tape")
    (tmp_path / "there.html").write_text("mine")
    write(tmp_path / "empty.tape")
    for arguments, code, what in (
        (("no.tape",), 2, "no.tape"),
        (("missing.tape",), 2, "no such"),
        (("empty.tape",), 2, "no connections"),
        ((pages / "talk.tape", "-o", "there.html"), 2, "--force"),
        ((pages / "talk.tape", "-o", pages / "talk.tape", "--force"), 2, "the tape itself"),
        ((pages / "talk.tape", "-o", "no/such/a.html"), 2, "does not exist"),
        ((pages / "talk.tape", "--contract", "golden-pth"), 2, "golden-path"),
    ):
        capsys.readouterr()
        assert run("report", *arguments) == code
        out, err = capsys.readouterr()
        assert (out, len(err.splitlines())) == ("", 1)
        assert what in err
    assert (tmp_path / "there.html").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.tape", "no.tape", "there.html"]
