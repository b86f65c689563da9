"""Copies: the same message on several sessions of one user."""

from verifier.copies import AWAY, REMEMBERED, Copies
from verifier.paths import compile_path
from verifier.record import MESSAGE, Record, Session

ID = compile_path("id")


def shown(copies, session, payload=b"x", id_=None, t=0):
    record = Record(MESSAGE, 1, t, session, session.user, 1)
    record.payload, record.value = payload, {} if id_ is None else {"id": id_}
    return copies.is_copy(record)


def sessions(copies, *users, t=0):
    made = [Session(f"c{n}", n, user, True) for n, user in enumerate(users)]
    for session in made:
        copies.opened(session, t)
    return made


def test_the_same_bytes_in_two_open_tabs_are_one_message():
    copies = Copies(None)
    one, two, other = sessions(copies, "bob", "bob", "eve")

    assert [shown(copies, s) for s in (one, two, other)] == [False, True, False]
    assert shown(copies, one) is False  # again: the next round
    assert shown(copies, two) is True


def test_the_same_message_twice_on_one_session_is_a_duplicate():
    copies = Copies(ID)
    one, two = sessions(copies, "bob", "bob")

    assert [shown(copies, s, id_=1) for s in (one, one, two)] == [False, False, True]


def test_an_id_says_what_is_the_same_and_other_bytes_do_not_matter():
    copies = Copies(ID)
    one, two = sessions(copies, "bob", "bob")

    assert not shown(copies, one, b"x", 1)
    assert shown(copies, two, b"y", 1)
    assert not shown(copies, two, b"x", 2)
    assert shown(copies, one, b"x", 2.0)
    assert not shown(copies, one, b"x", "2")


def test_a_new_tab_and_a_user_who_comes_back_are_told_the_past():
    copies = Copies(ID)
    [one] = sessions(copies, "bob")
    assert not shown(copies, one, id_=1)
    [two] = sessions(copies, "bob")
    assert shown(copies, two, id_=1)
    copies.closed(one, 0)
    copies.closed(two, 0)
    [three] = sessions(copies, "bob", t=AWAY)
    assert shown(copies, three, id_=1)
    copies.closed(three, AWAY)
    [four] = sessions(copies, "bob", t=2 * AWAY + 1)
    assert not shown(copies, four, id_=1)


def test_without_an_id_only_tabs_that_are_open_together_share():
    copies = Copies(None)
    [one] = sessions(copies, "bob")
    assert not shown(copies, one)
    copies.closed(one, 0)
    [two] = sessions(copies, "bob", t=1)
    assert not shown(copies, two)


def test_only_so_much_is_remembered():
    copies = Copies(ID)
    one, two = sessions(copies, "bob", "bob")
    for n in range(REMEMBERED + 1):
        shown(copies, one, id_=n)

    assert not shown(copies, two, id_=0)
    assert shown(copies, two, id_=REMEMBERED)
