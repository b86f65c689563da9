"""Keys of what users said: put away and read again they are the same, and nothing of another's goes unsuspected."""

import tempfile

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import composite

from verifier.taint.extract import Reader
from verifier.taint.prints import NEVER, Prints, Said, owners
from verifier.taint.sinks import Searcher
from verifier.taint.sketch import Sketcher, texts_of
from verifier.taint.tables import LEAF, RUN, TOKEN, Sources, stamp

KEYS = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-40, 40)
LINES = st.lists(st.sets(KEYS, max_size=5), max_size=20)


def said(lines):
    found = Said()
    for place, keys in enumerate(lines):
        found.add(place, keys)
    return found


@given(LINES, LINES)
def test_what_is_put_away_is_read_as_it_was(lines, others):
    with tempfile.TemporaryFile() as file:
        said(others).put_away(file)
        away, here = said(lines), said(lines)
        away.put_away(file)
        said(others).put_away(file)

        wanted = {key for keys in lines[::2] for key in keys}
        assert (len(away), away.distinct(), away.first()) == (len(here), here.distinct(), here.first())
        assert (away.shared(wanted), away.at(wanted)) == (here.shared(wanted), here.at(wanted))


@given(LINES, LINES, LINES, st.integers(0, 20))
def test_nothing_of_anothers_goes_unsuspected(mine, ann, bob, before):
    own = said(mine).first()
    shown = {key for keys in (*mine, *ann, *bob) for key in keys}
    others = said(ann).distinct() | said(bob).distinct()

    suspects = set(Prints([said(mine), said(ann), said(bob)]).suspects(shown, own, before))

    assert suspects >= {key for key in shown & others if own.get(key, NEVER) >= before}


@given(LINES, LINES, st.sets(KEYS))
def test_what_is_suspected_is_anothers_or_it_is_let_go(mine, ann, planted):
    wanted = {key for keys in (*mine, *ann) for key in keys} | planted

    found, had = owners({"me": said(mine), "ann": said(ann)}, {"ann": planted}, {"me": wanted})

    assert found.get("me", set()) == wanted & (said(ann).distinct() | planted)
    assert all(keys <= found["me"] for keys in had.values())


WORDS = st.sampled_from(
    ["the", "red", "Kettle", "boils", "over", "ann@mail.example", "4711-0815-77", "k3y9Zp2Q7x4", "in", "Lisbon",
     "884120937", "[r:jwt:0123456789abcdef]", "straße", "１２３４５６７", "1,234,567.89", "a_b", "—", "e.g."]
)  # fmt: skip


@composite
def texts(draw):
    return draw(st.sampled_from([" ", "  ", "-", ", ", "\n"])).join(draw(st.lists(WORDS, min_size=1, max_size=12)))


@given(texts(), texts(), st.sampled_from(["{}", "<b>{}</b>", "x{}y", "so {} it is", "{} {}"]))
def test_texts_with_a_value_in_common_have_a_key_in_common(source, about, frame):
    reader = Reader()
    sketcher = Sketcher(reader, None)
    sources = Sources()
    reader.collect(sources, "ann", stamp(1, True), [(("text",), source)])
    shown = frame.format(*(f"{about} {source}", source)[: frame.count("{}")])
    keys = {key for one in sketcher.said([(source, False, False, False)]) for key in one}

    hits = [hit for _, hit in Searcher(reader, sources).hits([(("text",), shown)])]
    sketcher.tells = True

    assert not hits or keys & sketcher.shown([shown])[0], [(hit.family, hit.key) for hit in hits]
    assert {hit.family for hit in hits} <= {TOKEN, LEAF, RUN}


def test_all_texts_of_a_message_are_read():
    doc = {"a": ["x", {"long name": 1.5}], "n": 1234567, "small": 7, "none": None, "yes": True}

    assert texts_of([doc], 100_000) == {"a", "x", "long name", "1.5", "n", "1234567", "small", "none", "yes"}
