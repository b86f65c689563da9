"""Mining: what recordings had in common becomes a contract; chance, too little and noise do not."""

from __future__ import annotations

import contextlib
import io
import json
import random
from pathlib import Path

import pytest
from tapes import write

from goldentape.cli import main
from goldentape.tape import open_tape
from verifier.check import verify
from verifier.contract import Contract, read_contract
from verifier.history import Source
from verifier.mining.language import expression, learn
from verifier.mining.trial import held_out
from verifier.regex import compile_regex


class Said:
    """What one run of the command said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def contract(self) -> Contract:
        assert self.code == 0, self.err
        return read_contract(self.out.encode(), "mined.yaml")

    @property
    def kinds(self) -> dict[str, list[dict]]:
        found: dict[str, list[dict]] = {}
        for spec in self.contract.invariants.values():
            found.setdefault(spec.kind, []).append(dict(spec.options))
        return found


@pytest.fixture
def mine(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def mine(*arguments: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["mine", *map(str, arguments)])
        return Said(int(ended.value.code), *capsys.readouterr())

    return mine


def order(user: str, id: str, *, spoilt: str = "") -> list[str]:
    """One order of a kitchen: placed, accepted, cooked, served; or spoilt in one way."""
    kept = {"order_id": id, "guest": user}
    said = [
        (">", {"do": "place", "dish": f"dish of {id}"}), ("<", {"do": "accepted", **kept}),
        ("<", {"do": "cooking", "percent": 40, **kept}), ("<", {"do": "cooking", "percent": 90, **kept}),
        ("<", {"do": "served", **kept}),
    ]  # fmt: skip
    if spoilt == "raw":
        del said[2:4]
    if spoilt == "forgotten":
        del said[4]
    if spoilt == "swapped":
        said[4][1]["guest"] = "somebody else"
    return [f"{user} {way} {json.dumps(value)}" for way, value in said]


USERS = ("alice", "bob", "carol", "dave", "erin")


def kitchen(number: int, orders: int = 15, waiting: bool = False, **spoilt: str) -> Path:
    """A recording: each user has orders, and all talk at once.  `spoilt`: what is wrong with which (`bob1`).

    `waiting`: at the end nobody hangs up, and the recorder runs on.
    """
    chance = random.Random(number)
    talks = [
        [
            sentence
            for n in range(orders // len(USERS))
            for sentence in order(user, f"o-{number}-{user}-{n}", spoilt=spoilt.get(f"{user}{n}", ""))
        ]
        for user in USERS
    ]
    sentences = []
    while any(talks):
        sentences.append(chance.choice([talk for talk in talks if talk]).pop(0))
    ends = [s for user in USERS for s in (f"{user} > (close 1000)", f"{user} < (close 1000)")]
    return write(
        Path(f"k{number}.tape"),
        *sentences,
        *(["90s"] if waiting else ends),
        wall=1_700_000_000_000_000_000 + number * 10**12,
    )


def judged(contract: Contract, tape: Path) -> set[str]:
    with open_tape(tape) as opened:
        verdict = verify(contract, Source.of(opened))
    return {o.kind for o in verdict.outcomes if o.tally.violated or o.tally.demoted}


def test_what_a_kitchen_always_does_is_mined_and_holds_on_another_day(mine):
    said = mine(*[kitchen(n) for n in range(5)])
    kinds = said.kinds

    assert said.contract.wire.type == "do"
    assert said.contract.spans["order"].open == {"accepted"}
    assert [o["path"] for o in kinds["owner"] if o["mode"] == "envelope"] == ["guest"]
    assert [o["keys"] for o in kinds["owner"] if o["mode"] == "key"] == [["order"]]
    [answered] = kinds["responds"]
    assert (answered["trigger"], answered["answer"]) == ("place", ["accepted"])
    assert {"exits", "schema"} <= kinds.keys()
    for spec in said.contract.invariants.values():
        mined = spec.options["mined"]
        assert (spec.severity, mined["recordings"] >= 3, mined["users"]) == ("warning", True, 5)
        assert mined["support"] >= 30
    assert judged(said.contract, kitchen(99)) == set()


BUGS = [("forgotten", "exits"), ("swapped", "owner"), ("raw", "count")]


@pytest.mark.parametrize(("spoilt", "kind"), BUGS)
def test_a_bug_that_the_recordings_did_not_have_is_caught(mine, spoilt, kind):
    said = mine(*[kitchen(n) for n in range(4)])

    assert kind in judged(said.contract, kitchen(99, waiting=True, bob1=spoilt, carol0=spoilt))


def test_what_nearly_always_holds_is_listed_apart_with_its_exceptions(mine):
    tapes = [kitchen(n, 40, **({"bob3": "swapped"} if n == 2 else {})) for n in range(4)]

    said = mine(*tapes)

    assert "own-guest" not in said.contract.invariants
    nearly = said.out.partition("# Nearly: a bug, or noise?")[2]
    assert "# own-guest: guest of what the server says is the user of the connection" in nearly
    assert "k2.tape #" in nearly
    assert "so…se" in nearly and "somebody else" not in said.out


def test_what_holds_in_the_mined_recordings_only_is_not_kept(mine):
    [apart] = held_out(4)
    raw = {f"{user}{i}": "raw" for user in USERS for i in range(3)}
    lucky = [kitchen(n, **(raw if n == apart else {})) for n in range(4)]

    kinds = mine(*lucky).kinds

    assert not [o for o in kinds.get("count", ()) if "cooking" in o["each"]]


def test_what_was_seen_too_seldom_is_not_kept(mine):
    tapes = [
        write(Path(f"few{n}.tape"), *[s for user in USERS[:2] for s in order(user, f"o{n}-{user}")], wall=10**18 + n)
        for n in range(3)
    ]

    said = mine(*tapes)

    assert (said.code, "nothing was certain enough to be mined" in said.err) == (4, True)


def test_one_user_is_not_enough(mine):
    tapes = [
        write(Path(f"one{n}.tape"), *[s for i in range(30) for s in order("alice", f"o{n}-{i}")], wall=10**18 + n)
        for n in range(4)
    ]

    assert mine(*tapes).code == 4


REFUSED = [
    ((), 2, "Missing argument"),
    (("a.tape",), 4, "too few recordings to tell a rule from chance: nothing was mined, found 1, wanted at least 3"),
    (("a.tape", "./a.tape", "b.tape"), 4, "found 2, wanted at least 3"),
    (("a.tape", "b.tape", "--min-recordings", "2", "-o", "a.tape"), 2, "a.tape: exists already"),
    (("a.tape", "b.tape", "nowhere.tape"), 2, "no such tape"),
    (("a.tape", "b.tape", "c.tape"), 2, "no field of the messages says what they are: name it with --type PATH"),
    (("a.tape", "b.tape", "c.tape", "--type", "a[["), 2, "--type: a path reads a.b[0] or /json/pointer, found a[["),
    (("a.tape", "b.tape", "c.tape", "--type", "y"), 2, "no message has a word where it should say what it is, found y"),
    (("a.tape", "b.tape", "c.tape", "--type", "x"), 2, "no message has a word where it should say what it is, found x"),
    (("a.tape", "b.tape", "u.tape"), 4, "has no seal"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "what"), REFUSED)
def test_what_cannot_be_mined_is_refused_in_one_line(mine, arguments, code, what):
    for name in "abc":
        write(Path(f"{name}.tape"), *[f'alice > {{"x": {n}}}' for n in range(9)])
    write(Path("u.tape"), 'alice > {"x": 1}', seal=False)

    said = mine(*arguments)

    assert (said.code, said.out, said.err.count("\n")) == (code, "", 1), said.err
    assert what in said.err


def test_where_nobody_is_named_nothing_is_said_of_whose_is_what(mine):
    tapes = []
    for n in range(4):
        sentences = []
        for i in range(20):
            said = order(f"connection:{n}{i}", f"o-{n}-{i}")
            sentences += [f"connection:{n}{i} connects / rule=connection", *said]
        tapes.append(write(Path(f"anonymous{n}.tape"), *sentences, wall=10**18 + n))

    kinds = mine(*tapes).kinds

    assert "owner" not in kinds
    assert "exits" in kinds


def test_the_same_recordings_give_the_same_contract_in_whatever_order_they_are_named(mine):
    tapes = [kitchen(n) for n in range(4)]

    assert mine(*tapes).out == mine(*reversed(tapes)).out


HOSTILE = [
    "\x1b[31mred", "a\n# b: {kind: x}", "x: {", "${boom}", "*all", "&anchor", "- a", "é", "y" * 5000, "type", "user",
]  # fmt: skip


def test_what_a_recording_says_cannot_spoil_the_contract(mine):
    tapes = []
    for n in range(3):
        sentences = [
            f"{user} {way} {json.dumps(value)}"
            for i in range(12)
            for user in ("alice", "bob")
            for k, word in enumerate(HOSTILE)
            for way, value in (
                (">", {"type": "ask", word: word, "id": f"{n}{user}{i}{k}"}),
                ("<", {"type": word, "id": f"{n}{user}{i}{k}", "said": {word: word}, "word": word}),
                ("<", {"type": "done", "id": f"{n}{user}{i}{k}", "n": 1}),
            )
            if word != "type" or way == "<"
        ]
        tapes.append(write(Path(f"h{n}.tape"), *sentences, wall=10**18 + n))

    said = mine(*tapes, "--type", "type")

    assert all(char == "\n" or char.isprintable() for char in said.out)
    assert judged(said.contract, tapes[0]) == set()
    assert len(said.contract.events) >= 10


def test_a_contract_is_written_whole_or_not_at_all(mine, tmp_path):
    tapes = [kitchen(n) for n in range(3)]

    done = mine(*tapes, "-o", "mined.yaml")
    assert (done.code, done.out) == (0, "")
    assert "read it before you use it" in done.err
    assert read_contract(Path("mined.yaml").read_bytes(), "mined.yaml").invariants
    refused = mine(*tapes, "-o", tmp_path / "no" / "mined.yaml")
    assert (refused.code, sorted(p.name for p in tmp_path.iterdir() if "mined" in p.name)) == (3, ["mined.yaml"])


@pytest.mark.parametrize("count", range(2, 30))
def test_three_of_ten_recordings_are_held_out_and_some_are_left(count):
    apart = held_out(count)

    assert apart <= set(range(count))
    assert len(apart) == max(1, round(0.3 * count))
    assert count - len(apart) >= 1


TRACES = [
    ["a b", "a b b", "a b b b", "a c"],
    ["s t x t x e", "s e", "s t x e"],
    ["a"],
    ["a b c", "a c b", "a"],
]


@pytest.mark.parametrize("traces", TRACES)
def test_the_language_that_is_suggested_has_every_trace_it_was_learnt_from(traces):
    words = [trace.split() for trace in traces]

    pattern = expression(*learn(words))

    automaton = compile_regex(pattern)
    for word in words:
        state = 0
        for event in word:
            state = automaton.step(state, (event,))
        assert automaton.accepts(state), (pattern, word)


# -- other protocols


def chat(number: int, *, lost: str = "") -> Path:
    """Runs that stream: a text in pieces, tools by id, numbers that count; and pings that carry an id."""
    chance = random.Random(number)
    talks = []
    for user in USERS:
        said = []
        for i in range(4):
            run = f"run-{number}-{user}-{i}"
            pieces = [chance.choice(["one ", "two ", "three "]) for _ in range(chance.randint(2, 5))]
            tools = [f"{run}.t{k}" for k in range(chance.randint(1, 3))]
            events = [{"kind": "begin"}]
            events += [{"kind": "call", "call_id": tool, "tool": "search"} for tool in tools]
            events += [{"kind": "result", "call_id": tool} for tool in reversed(tools)]
            events += [{"kind": "piece", "text": piece} for piece in pieces]
            events += [{"kind": "end", "text": "".join(pieces), "tools": len(tools)}]
            if i == 2 and lost == "piece":
                del events[-2]
            if i == 2 and lost == "result":
                del events[2 * len(tools)]
            said.append(f'{user} > {{"kind": "ping", "id": "{run}-ping"}}')
            if not (i == 1 and lost == "pong"):
                said.append(f'{user} < {{"kind": "pong", "id": "{run}-ping"}}')
            for seq, event in enumerate(events, 1):
                said.append(f"{user} < {json.dumps({**event, 'run': run, 'seq': seq})}")
        talks.append(said)
    sentences = []
    while any(talks):
        sentences.append(chance.choice([talk for talk in talks if talk]).pop(0))
    path = Path(f"chat{number}.tape")
    return write(path, *sentences, "90s", wall=1_700_000_000_000_000_000 + number * 10**12)


@pytest.fixture(scope="module")
def streamed(tmp_path_factory) -> Contract:
    """What is mined from four days of chats."""
    said = io.StringIO()
    chats = contextlib.chdir(tmp_path_factory.mktemp("chats"))
    with chats, contextlib.redirect_stdout(said), pytest.raises(SystemExit) as ended:
        main(["mine", *[str(chat(n)) for n in range(4)]])
    assert ended.value.code == 0
    return read_contract(said.getvalue().encode(), "mined.yaml")


def test_a_protocol_that_streams_is_understood(streamed):
    span = streamed.spans["run"]
    by_kind: dict[str, list[dict]] = {}
    for spec in streamed.invariants.values():
        by_kind.setdefault(spec.kind, []).append(dict(spec.options))

    assert (span.open, span.exits["end"]) == ({"begin"}, {"end"})
    assert {(p["open"], p["close"], p["key"]) for p in by_kind["pair"]} == {
        ("call", "result", "call"), ("ping", "pong", next(k for k, v in streamed.keys.items() if v.paths == ("id",))),
    }  # fmt: skip
    assert {(f["op"], f["equals"]["path"]) for f in by_kind["fold"]} == {("concat", "text"), ("count", "tools")}


LOST = [("", set()), ("piece", {"fold"}), ("result", {"pair"}), ("pong", {"responds"})]


@pytest.mark.parametrize(("lost", "kinds"), LOST)
def test_what_a_stream_loses_is_noticed(streamed, tmp_path, monkeypatch, lost, kinds):
    monkeypatch.chdir(tmp_path)

    found = judged(streamed, chat(99, lost=lost))

    assert kinds <= found
    assert bool(kinds) == bool(found)
