"""The HTML report in a real browser: opened from disk, clicked, typed at, and fed a hundred hostile texts."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import HOSTILE
from pages import make, run
from tapes import write

from goldentape.errors import Exit
from verifier.exporters import REPORTS
from verifier.exporters.html import pieces
from verifier.judgement import Judged, Judgement
from verifier.verdict import Group, Outcome, Tally, Verdict, Violation

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
browsing = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("pages"))


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
    for y in (34, 62, 76, 101, 130):
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


@browsing
def test_what_was_judged_without_a_tape_is_told_in_words(opened, pages):
    found = Violation(
        invariant="gone", kind="event", severity="error", fault="server", user=None, slice=(), witness=(), expected="",
        why="done comes no more", told=("before | after", "done   | -"),
    ).with_fingerprint()  # fmt: skip
    tally = Tally(activations=1, violated=1)
    tally.groups[found.fingerprint] = Group([found], 1)
    outcome = Outcome(
        name="gone", kind="compare", title="", severity="error", gate="always", verdict="fail", file="a.yaml", line=1,
        req=(), impact=None, tally=tally,
    )  # fmt: skip
    verdict = Verdict(
        contract="diff", version="", digest="", file="a.yaml", outcomes=(outcome,), warnings=(), connections=1, users=2,
        messages=3, events=3, begin=0, end=0,
    )  # fmt: skip
    judged = Judged(tape="b.tape against a.tape", state="compared", verdict=verdict, exit=Exit.VIOLATION)
    judgement = Judgement(command="diff", judged=[judged], exit=Exit.VIOLATION)
    (pages / "words.html").write_text("".join(pieces(judgement)), "utf-8")
    for report in REPORTS:
        assert "done comes no more" in "".join(report.pieces(judgement)) or report.kind == "html"

    page = opened("words.html")
    assert page.text("#title") == "b.tape against a.tape"
    assert "2 users · 1 connection · 3 messages" in page.text("#numbers")
    page.settled("#detail h2", "gone")
    assert page.text("#detail pre") == "before | after\ndone   | -"
    wide = page.page.evaluate("document.getElementById('detail').offsetWidth / innerWidth")
    assert wide > 0.6, "what is told has the room that the lanes do not need"
    page.keys("Escape")
    assert "No tape is drawn here" in page.text("#empty")
    page.keys("n", "+", "0")
    page.settled("#detail h2", "gone")


# -- hostile text


@browsing
def test_no_recorded_text_becomes_anything_but_text(opened):
    page = opened("hostile.html")
    document = page.page

    scripts, styles = (document.locator(tag).count() for tag in ("script", "style"))
    # Each violation, each record of its proof, each message's connection, each kind of event.
    told = document.evaluate(
        """async () => {
          const turn = () => new Promise((done) => {
            const channel = new MessageChannel();
            channel.port1.onmessage = done;
            channel.port2.postMessage(0);
          });
          const until = async (holds) => { while (!holds()) await turn(); };
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
          for (const row of document.querySelectorAll('[data-kind]')) { row.click(); await turn(); }
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
