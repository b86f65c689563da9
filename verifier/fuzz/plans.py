"""Plans: a workload with faults put into it, as the search tries them and as Hypothesis draws them.  Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from goldentape.errors import InputError
from verifier.fuzz.canary import canary, word_of
from verifier.fuzz.script import Action, Drop, Send, Slow, Wait
from verifier.fuzz.workload import After, Session, Workload

FAULTS: Final = ("drop", "reconnect", "slow", "tabs")
"""What can be put into a workload: see `with_faults`."""
USUAL: Final[tuple[tuple[str, ...], ...]] = (
    ("reconnect", "tabs"), (), ("reconnect",), ("tabs",), ("drop", "slow"), ("reconnect", "slow", "tabs"),
)  # fmt: skip
"""The mixtures that are tried where nobody asked for faults, in turn."""
AGAIN: Final = 50
"""Numbers of the messages that a copied script sends begin here."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one batch of schedules is run on."""

    workload: Workload
    faults: tuple[str, ...]
    seed: int
    """What the schedules of the batch are made of."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Tell Hypothesis how to print it: in a line, without what each user does."""
        workload = self.workload
        parts = f"{len(workload.users)} users", f"{len(workload.sessions)} connections", f"{workload.messages} messages"
        printer.text(f"<plan of {', '.join([*parts, *self.faults])}, seed {self.seed}>")


def mixtures(faults: Collection[str] | None) -> tuple[tuple[str, ...], ...]:
    """Return the mixtures of faults to try: those asked for with and without, or the usual ones."""
    if faults is None:
        return USUAL
    odd = [fault for fault in faults if fault not in FAULTS]
    if odd:
        raise InputError("no such fault", found=odd[0], wanted=", ".join(FAULTS))
    wanted = tuple(fault for fault in FAULTS if fault in faults)
    return (wanted, ()) if wanted else ((),)


@st.composite
def plans(draw: DrawFn, workload: Workload, all_: tuple[tuple[str, ...], ...], turn: int = 0) -> Plan:
    """Return plans for a workload: the whole of it first, then such with fewer users or messages, faults elsewhere."""
    mixture = draw(st.sampled_from(all_[turn % len(all_) :] + all_[: turn % len(all_)]))
    where = draw(st.integers(0, 3)) if mixture else 0
    leaving = draw(st.sampled_from((1, 2, 2, 2, 2))) if vanishing(mixture) else 0
    early = draw(st.sampled_from((False, False, False, False, True))) if leaving else False
    begun, late = draw(st.sampled_from(((True, False), (True, True), (False, False)))) if leaving else (False, False)
    some = draw(st.integers(0, 7))
    # Of bytes, since integers are drawn small and often alike.
    seed = int.from_bytes(draw(st.binary(min_size=6, max_size=6)))
    if some == 6 and len(workload.users) > 2:
        workload = workload.without_user(workload.users[-1].name)
    elif some == 7 and workload.messages > len(workload.sessions):
        for session in workload.sessions:
            if len(session.sends) > 1:
                workload = settled(workload.without_message(session.name, len(session.sends) - 1))
    return Plan(with_faults(workload, mixture, where, leaving, early=early, begun=begun, late=late), mixture, seed)


def plan_strategy(workload: Workload, all_: tuple[tuple[str, ...], ...], turn: int = 0) -> SearchStrategy[Plan]:
    """Return plans for a workload; `turn` says which mixture of faults comes first."""
    return plans(workload, all_, turn)


def vanishing(faults: Collection[str]) -> bool:
    """Return whether users vanish by these faults."""
    return "drop" in faults or "reconnect" in faults


def share(faults: Collection[str]) -> int:
    """Return how many shares of a search a mixture gets: what comes of users who leave, or come back, shows seldom."""
    return 3 if "reconnect" in faults else 2 if "drop" in faults else 1


def with_faults(
    workload: Workload, faults: Collection[str], where: int = 0, leaving: int = 1, *, early: bool = False,
    begun: bool = False, late: bool = False,
) -> Workload:  # fmt: skip
    """Return a workload with faults in it; `where` (0 to 3) moves them to other users and other places.

    `drop`: a user vanishes in the middle of an answer (`leaving` do, but not all; one of them before anything is said,
    with `early`, be it in the middle of the handshake; the others with `begun` once they were told something; somebody
    comes when they are gone, with `late`).  `reconnect`: and comes back at once, and goes on.  `slow`: a user reads
    slowly.  `tabs`: a user has a second tab.  The messages of new sessions carry canaries of their own.
    """
    sessions = [session for session in workload.sessions if session.script]
    if not sessions:
        return workload
    many = max(1, min(leaving, len(sessions) - 1)) if vanishing(faults) else 0
    for n in range(many):
        victim = _pick(sessions, 1 + where + n)
        sends = victim.sends
        if sends:
            at = sends[-1 - ((where + n) // 2) % len(sends)]
            waits = begun and at + 1 < len(victim.script) and isinstance(victim.script[at + 1], Wait)
            said = () if early and n == many - 1 else (*victim.script[: at + 1], *([Wait()] if waits else []))
            workload = workload.with_script(victim.name, (*said, Drop()))
            if "reconnect" in faults:
                back = replace(
                    victim, name=_free(workload, f"{victim.name}-again"), after=After(victim.name),
                    script=_copied(victim, AGAIN),
                )  # fmt: skip
                workload = replace(workload, sessions=(*workload.sessions, back))
    if late and many > 1:
        gone = {_pick(sessions, 1 + where + n).name for n in range(many)}
        stays = next(session.name for session in sessions if session.name not in gone)
        workload = workload.beginning(stays, After(_pick(sessions, where + many).name))
    if "tabs" in faults:
        first = _pick(sessions, where)
        tab = replace(first, name=_free(workload, f"{first.name}-tab"), script=_copied(first, 2 * AGAIN))
        workload = replace(workload, sessions=(*workload.sessions, tab))
    if "slow" in faults:
        slow = _pick(sessions, where)
        workload = workload.with_script(slow.name, (Slow(), *workload.session(slow.name).script))
    return workload


def settled(workload: Workload) -> Workload:
    """Return the workload without waits for answers to what is never sent."""
    for session in workload.sessions:
        script: list[Action] = []
        sent = waited = 0
        for action in session.script:
            sent += isinstance(action, Send)
            if isinstance(action, Wait) and not action.canary:
                waited += 1
                if waited > sent:
                    waited -= 1
                    continue
            script.append(action)
        if len(script) != len(session.script):
            workload = workload.with_script(session.name, tuple(script))
    return workload


def _pick(sessions: Sequence[Session], n: int) -> Session:
    return sessions[n % len(sessions)]


def _free(workload: Workload, name: str) -> str:
    names = {session.name for session in workload.sessions}
    return next(free for free in [name, *(f"{name}{n}" for n in range(2, 100))] if free not in names)


def _copied(session: Session, first: int) -> tuple[Action, ...]:
    """Return the script of a session up to its first message's end, with a canary of its own."""
    renamed: dict[str, str] = {}
    script: list[Action] = []
    for n, action in enumerate(session.script):
        if isinstance(action, Send):
            if action.canary and len(renamed):
                break
            if action.canary:
                renamed[action.canary] = canary(session.user, first + n)
            script.append(_with_canary(action, renamed))
        elif isinstance(action, Wait):
            script.append(replace(action, canary=renamed.get(action.canary, action.canary)))
        elif not isinstance(action, Drop | Slow):
            script.append(action)
    last = session.script[-1]
    if script and script[-1] is not last and not isinstance(last, Send | Wait | Drop | Slow):
        script.append(last)
    return tuple(script)


def _with_canary(action: Send, renamed: dict[str, str]) -> Send:
    new = renamed.get(action.canary)
    if new is None:
        return action
    payload = action.payload
    for old, form in ((action.canary, new), (word_of(action.canary), word_of(new))):
        if isinstance(payload, str):
            payload = payload.replace(old, form)
        else:
            payload = payload.replace(old.encode(), form.encode())
    return Send(payload, new)
