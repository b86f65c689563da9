"""A workload: users, their sessions, and what each session's client does.  Pure values, hashable, JSON in and out.

The order of `sessions` is the serial order.  What shrinking may take away are methods that return a smaller workload.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from goldentape.errors import InputError
from verifier.fuzz.passport import TOKEN, Passport
from verifier.fuzz.script import FAULTS, Action, Close, Drop, Fast, Send, Slow, Wait

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class User:
    """One user, over all of their sessions."""

    name: str
    """As the server is told it: the `sub` of a token."""
    claims: str = ""
    """Further claims of the user's tokens, as `json.dumps` writes the object; empty for none."""


@dataclass(frozen=True, slots=True)
class After:
    """When a session may begin: once another one has come this far."""

    session: str
    done: int | None = None
    """How many actions of its script are done (0: it is accepted); None: it is over, however it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One connection of a user."""

    name: str
    """Unique in the workload: `alice`, `alice-2`."""
    user: str
    path: str = "/ws"
    """Path of the request, without a query; `{user}` stands for the user's name."""
    query: Pairs = ()
    """Decoded pairs; passports add theirs.  `{user}` in a value stands for the user's name."""
    headers: Pairs = ()
    """Names and values, as sent; passports add theirs.  `{user}` in a value stands for the user's name."""
    subprotocols: tuple[str, ...] = ()
    after: After | None = None
    """None: it may begin at once."""
    script: tuple[Action, ...] = ()

    @property
    def sends(self) -> tuple[int, ...]:
        """The places of its messages in its script."""
        return tuple(n for n, action in enumerate(self.script) if isinstance(action, Send))


@dataclass(frozen=True, slots=True)
class Head:
    """What a session asks for: the request of its handshake."""

    path: str
    """Decoded."""
    query: str
    """Encoded, without `?`."""
    headers: Pairs
    subprotocols: tuple[str, ...]
    target: str
    """The request target: encoded path, and the query."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Who does what, in no particular order but each session's own."""

    users: tuple[User, ...]
    sessions: tuple[Session, ...]
    passports: tuple[Passport, ...] = ()
    """Where every session says who its user is."""

    def __post_init__(self) -> None:
        names = [session.name for session in self.sessions]
        double = next((name for n, name in enumerate(names) if name in names[:n]), None)
        if double is not None:
            raise InputError("two sessions have one name", found=double)
        if "(app)" in names:
            raise InputError("a session cannot be called (app)", fix="choose another name")
        users = {user.name for user in self.users}
        for session in self.sessions:
            if session.user not in users:
                raise InputError(f"session {session.name} is of a user who is not there", found=session.user)
            if session.after is not None and (
                session.after.session not in names or session.after.session == session.name
            ):
                raise InputError(
                    f"session {session.name} begins after one that is not there", found=session.after.session
                )

    def session(self, name: str) -> Session:
        """Return a session by its name."""
        return next(session for session in self.sessions if session.name == name)

    def user(self, name: str) -> User:
        """Return a user by name."""
        return next(user for user in self.users if user.name == name)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Tell Hypothesis how to print it: in a line, without what each user does."""
        sizes = f"{len(self.users)} users, {len(self.sessions)} connections, {self.messages} messages"
        printer.text(f"<workload of {sizes}>")

    def canaries(self) -> dict[str, str]:
        """Return whose each canary is: canary to user."""
        return {
            action.canary: session.user
            for session in self.sessions
            for action in session.script
            if isinstance(action, Send) and action.canary
        }

    @property
    def messages(self) -> int:
        """How many messages the clients send, if nothing stops them."""
        return sum(len(session.sends) for session in self.sessions)

    def head(self, session: Session) -> Head:
        """Return the request of a session's handshake, passports included."""
        asked = session.path, session.query, session.headers, session.subprotocols
        return _head(*asked, self.user(session.user), self.passports)

    def token(self, name: str) -> str:
        """Return the token that stands for `{token}` in a user's messages; empty: nobody here has one."""
        user = self.user(name)
        return next((p.value(name, user.claims) for p in self.passports if p.kind == "jwt"), "")

    def said(self, name: str, payload: str | bytes, token: str = "") -> str | bytes:
        """Return what a user sends with their token in it; `token`: what is told instead, where it is told."""
        if isinstance(payload, bytes) or TOKEN not in payload:
            return payload
        own = self.token(name)
        return payload.replace(TOKEN, token or own) if own else payload

    # What shrinking takes away

    def at(self, path: str) -> Workload:
        """Return the workload with this path where a session names none."""
        if all(session.path for session in self.sessions):
            return self
        return replace(self, sessions=tuple(replace(s, path=s.path or path) for s in self.sessions))

    def without_user(self, name: str) -> Workload:
        """Return the workload without a user and all of their sessions."""
        smaller = self
        for session in self.sessions:
            if session.user == name:
                smaller = smaller.without_session(session.name)
        return replace(smaller, users=tuple(user for user in smaller.users if user.name != name))

    def without_session(self, name: str) -> Workload:
        """Return the workload without a session; what began after it begins after what it began after."""
        gone = self.session(name)
        kept = tuple(
            replace(session, after=gone.after)
            if session.after is not None and session.after.session == name
            else session
            for session in self.sessions
            if session.name != name
        )
        users = {session.user for session in kept}
        return replace(self, sessions=kept, users=tuple(user for user in self.users if user.name in users))

    def without_action(self, name: str, place: int) -> Workload:
        """Return the workload without one action of a session; with a message go the waits for its answer.

        Those name its canary, or stand right behind it and name none.
        """
        script = self.session(name).script
        gone = {place}
        action = script[place]
        if isinstance(action, Send):
            if action.canary:
                gone |= {n for n, a in enumerate(script) if isinstance(a, Wait) and a.canary == action.canary}
            for n in range(place + 1, len(script)):
                after = script[n]
                if not isinstance(after, Wait):
                    break
                if not after.canary:
                    gone.add(n)
        elif isinstance(action, Slow):
            later = [n for n, other in enumerate(script) if n > place and isinstance(other, Fast)]
            gone |= set(later[:1])
        return self._with_script(name, gone)

    def without_message(self, name: str, n: int) -> Workload:
        """Return the workload without the n-th message (from 0) of a session, and the waits for its answer."""
        return self.without_action(name, self.session(name).sends[n])

    def with_script(self, name: str, script: tuple[Action, ...]) -> Workload:
        """Return the workload with another script for a session."""
        return replace(
            self,
            sessions=tuple(
                replace(session, script=script) if session.name == name else session for session in self.sessions
            ),
        )

    def beginning(self, name: str, after: After | None) -> Workload:
        """Return the workload in which a session begins when another has come so far."""
        sessions = tuple(replace(one, after=after) if one.name == name else one for one in self.sessions)
        return replace(self, sessions=sessions)

    def _with_script(self, name: str, gone: set[int]) -> Workload:
        script = tuple(action for n, action in enumerate(self.session(name).script) if n not in gone)

        def moved(after: After | None) -> After | None:
            if after is None or after.session != name or after.done is None:
                return after
            return After(name, after.done - sum(n < after.done for n in gone))

        sessions = tuple(replace(session, after=moved(session.after)) for session in self.sessions)
        return replace(self, sessions=sessions).with_script(name, script)

    def smaller(self) -> Iterator[tuple[str, Workload]]:
        """Yield each workload that is one thing smaller, with what is gone in words; the largest things first.

        Users, sessions, messages (the last first), faults (a drop becomes an ordinary close too), then all else: waits,
        closes, delayed beginnings.
        """
        if len(self.users) > 1:
            yield from ((f"user {user.name}", self.without_user(user.name)) for user in reversed(self.users))
        if len(self.sessions) > 1:
            yield from ((f"session {s.name}", self.without_session(s.name)) for s in reversed(self.sessions))
        for rank in (Send, FAULTS, (Wait, Close, Fast)):
            for session in reversed(self.sessions):
                for place in reversed(range(len(session.script))):
                    action = session.script[place]
                    if isinstance(action, rank):
                        word = type(action).__name__.lower()
                        yield f"{word} {place} of {session.name}", self.without_action(session.name, place)
                    if rank is FAULTS and isinstance(action, Drop):
                        script = (*session.script[:place], Close(), *session.script[place + 1 :])
                        yield f"drop {place} of {session.name} to a close", self.with_script(session.name, script)
        for session in self.sessions:
            if session.after is not None:
                yield f"that {session.name} begins later", self.beginning(session.name, None)

    def only(self, name: str) -> Workload:
        """Return the solo workload of one user: what they do when nobody else is there."""
        smaller = self
        for user in self.users:
            if user.name != name:
                smaller = smaller.without_user(user.name)
        return smaller

    # JSON

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON; secrets from the environment stay there."""
        from verifier.fuzz.workload_json import workload_to_json

        return workload_to_json(self)

    @classmethod
    def from_json(cls, value: Any, secrets: Mapping[str, str] | None = None) -> Workload:
        """Read what `to_json` wrote; `secrets` is the environment, for secrets that are not in the file."""
        from verifier.fuzz.workload_json import workload_from_json

        return workload_from_json(value, secrets or {})


@lru_cache(4096)
def _head(
    path: str, query: Pairs, headers: Pairs, subprotocols: tuple[str, ...], user: User, passports: tuple[Passport, ...]
) -> Head:  # fmt: skip
    """Return the request of a handshake; made once, for each run asks for the same ones."""
    path = path.replace("{user}", user.name)
    pairs, fields = ([(name, value.replace("{user}", user.name)) for name, value in some] for some in (query, headers))
    offered, cookies = list(subprotocols), []
    for passport in passports:
        value = passport.value(user.name, user.claims)
        if passport.place == "query":
            pairs.append((passport.name, value))
        elif passport.place == "cookie":
            cookies.append(f"{passport.name}={value}")
        elif passport.place == "subprotocol":
            offered += [passport.name, value]
        elif passport.place == "header":
            bearer = passport.kind == "jwt" and passport.name.lower() == "authorization"
            fields.append((passport.name, f"Bearer {value}" if bearer else value))
    if cookies:
        fields.append(("cookie", "; ".join(cookies)))
    encoded = urlencode(pairs)
    target = quote(path, safe="/:@!$&'()*+,;=~") + (f"?{encoded}" if encoded else "")
    return Head(path, encoded, tuple(fields), tuple(offered), target)
