"""What happened on a tape, in order: openings and ends find their places between the events."""

import pytest
from tapes import Writer, home, tape

from goldentape.event import Event, Mark
from goldentape.tape import open_tape
from goldentape.timeline import Became, Ended, Opened, Timeline, Wanted


def words(items):
    names = {Opened: "opens", Ended: "ends", Became: "becomes"}
    return [
        item.payload.decode() if isinstance(item, Event)
        else item.kind if isinstance(item, Mark)
        else f"{names[type(item)]} {item.connection.id}"
        for item in items
    ]  # fmt: skip


def read(found, **wanted):
    return words(Timeline(Wanted(**wanted)).read(found))


TWO = ("a > one", "b > two", "a ends eof", "b > three", "mark stop", "b ends reset", "c refused 401 no")


def test_a_connection_opens_before_its_events_and_ends_behind_them():
    assert read(tape(*TWO)) == [
        "begin", "opens c1", "one", "opens c2", "two", "ends c1", "three", "stop", "ends c2", "opens c3", "end",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"users": frozenset({"a"})}, ["begin", "opens c1", "one", "ends c1", "stop", "end"]),
        ({"connection": "c2"}, ["begin", "opens c2", "two", "three", "stop", "ends c2", "end"]),
        ({"events": ("text",)}, ["one", "two", "three"]),
        ({"direction": "s2c"}, []),
        ({"first_seq": 6, "last_seq": 6}, ["three"]),
        ({"first_t": 2_000_000, "last_t": 4_000_000}, ["opens c2", "two", "ends c1", "three", "stop"]),
    ],
)
def test_it_can_be_narrowed(wanted, found):
    assert read(tape(*TWO), **wanted) == found


def test_each_connection_of_a_user_gets_a_number_from_the_second_on():
    timeline = Timeline(Wanted())
    list(timeline.read(tape("a > x", "a/2 > y", "b > z", "a/3 > w")))

    assert timeline.labels == {"c1": "a", "c2": "a/2", "c3": "b", "c4": "a/3"}


def test_a_change_of_identity_stands_where_it_happened():
    found = tape("a > as a", "a becomes b", "a > as b")

    assert read(found) == ["begin", "opens c1", "as a", "becomes c1", "as b", "end"]
    assert read(found, users=frozenset({"b"})) == ["begin", "opens c1", "becomes c1", "as b", "end"]


def test_what_was_read_is_not_read_again_when_the_tape_has_grown():
    path = home() / "growing.tape"
    writer, timeline, seen = Writer(path), Timeline(Wanted()), []
    for sentence in TWO[:-1]:
        writer.say(sentence)
        writer.commit()
        with open_tape(path) as found:
            seen.append(words(timeline.read(found)))
    writer.finish()
    with open_tape(path) as found:
        seen.append(words(timeline.read(found)))

    assert seen == [
        ["begin", "opens c1", "one"], ["opens c2", "two"], ["ends c1"], ["three"], ["stop"], ["ends c2"], ["end"],
    ]  # fmt: skip
