"""
attributed: in AG-UI, what continues a message or a call is of the agent that began it.

Why: a subagent's words in a message of its parent are shown, kept and billed as the parent's.

    broken   alice < TEXT_MESSAGE_START m1 subagent=s1   alice < TEXT_MESSAGE_CONTENT m1 subagent=s2
    holds    alice < TEXT_MESSAGE_START m1 subagent=s1   alice < TEXT_MESSAGE_CONTENT m1

Options: `scope`, the span of a run, and `events` (default: those of AG-UI's that the contract has, under their own
names).  `subagentRunId` names the agent.  In what begins something, none means the parent; in what continues it, none
says nothing.  A tool call without one belongs to whom its `parentMessageId` does.  TOOL_CALL_RESULT, MESSAGES_SNAPSHOT
and an ACTIVITY_SNAPSHOT that replaces say anew whose something is; the messages of RUN_STARTED's `input`, whose it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verifier.equality import atom
from verifier.keys import plain
from verifier.paths import MISSING, as_list
from verifier.record import Record
from verifier.rule import Stateless
from verifier.slices import Proof, Slice, proof

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

MESSAGE, CALL, REASONING, ACTIVITY = "message", "tool call", "reasoning", "activity"
BEGIN = {"TEXT_MESSAGE_START": MESSAGE, "REASONING_START": REASONING, "REASONING_MESSAGE_START": REASONING}
GO_ON = {
    "TEXT_MESSAGE_CONTENT": MESSAGE, "TEXT_MESSAGE_END": MESSAGE, "TOOL_CALL_ARGS": CALL, "TOOL_CALL_END": CALL,
    "REASONING_MESSAGE_CONTENT": REASONING, "REASONING_MESSAGE_END": REASONING, "REASONING_END": REASONING,
    "ACTIVITY_DELTA": ACTIVITY,
}  # fmt: skip
OTHERS = (
    "TOOL_CALL_START", "TOOL_CALL_RESULT", "ACTIVITY_SNAPSHOT", "MESSAGES_SNAPSHOT", "RUN_STARTED",
    "REASONING_ENCRYPTED_VALUE",
)  # fmt: skip
OF_ROLE = {"reasoning": REASONING, "activity": ACTIVITY}
"""What a message of a snapshot is; of any other role, a message."""

PARENT = None
Agent = Any
"""The stand-in of a subagentRunId, or PARENT."""
Owner = tuple[Agent, Record]
"""Whose something is, and the event that said so."""


class Attributed(Stateless):
    """See the module."""

    def __init__(self, spec: Spec, contract: Contract) -> None:
        if spec.scope is None:
            raise contract.error(spec.at, "`attributed` wants the span of a run as scope", fix="scope: run")
        if spec.where is not None:
            raise contract.error((*spec.at, "where"), "`where` is not read by `attributed`")
        known = [*BEGIN, *GO_ON, *OTHERS]
        wanted = spec.options.get("events", [name for name in known if name in contract.events])
        self.wants = frozenset(contract.names(wanted, (*spec.at, "events")))
        strange = next((name for name in as_list(wanted) if name not in known), None)
        if strange is not None or not self.wants:
            raise contract.error(
                (*spec.at, "events"),
                "no event of AG-UI that `attributed` knows",
                found=strange,
                wanted=", ".join(known),
            )

    def start(self, slice: Slice) -> dict[tuple[str, Any], Owner]:
        """Begin with nothing that is anybody's: (what, id) to its owner."""
        return {}

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Learn whose something is, or compare."""
        name, value = names[0], record.value
        owners: dict[tuple[str, Any], Owner] = slice.state
        if name in GO_ON:
            slice.judged()
            what = GO_ON[name]
            thing = (what, _id(value, "toolCallId" if what is CALL else "messageId"))
            self._compare(slice, owners.get(thing), thing, record, names)
        elif name in BEGIN:
            slice.judged()
            thing = (BEGIN[name], _id(value, "messageId"))
            self._compare(slice, owners.get(thing), thing, record, names)
            owners.setdefault(thing, (_agent(value), record.slim()))
        elif name == "TOOL_CALL_START":
            self._call(slice, owners, record, names)
        elif name == "TOOL_CALL_RESULT":
            if type(value.get("messageId")) is str:
                owners[MESSAGE, value["messageId"]] = (_agent(value), record.slim())
        elif name == "ACTIVITY_SNAPSHOT":
            thing = (ACTIVITY, _id(value, "messageId"))
            if thing not in owners or value.get("replace") is not False:
                owners[thing] = (_agent(value), record.slim())
        elif name == "MESSAGES_SNAPSHOT":
            _told(owners, value.get("messages"), record.slim(), anew=True)
        elif name == "RUN_STARTED":
            told = value.get("input")
            _told(owners, told.get("messages") if isinstance(told, dict) else None, record.slim(), anew=False)
        else:
            self._encrypted(slice, owners, record, names)

    def _call(self, slice: Slice, owners: dict[tuple[str, Any], Owner], record: Record, names: tuple[str, ...]) -> None:
        """A tool call lives in the message that its `parentMessageId` names, and has no other owner than that."""
        value = record.value
        thing = (CALL, _id(value, "toolCallId"))
        inside = (MESSAGE, _id(value, "parentMessageId"))
        parent = owners.get(inside) if "parentMessageId" in value else None
        slice.judged()
        self._compare(slice, parent, inside, record, names)
        before = owners.get(thing)
        self._compare(slice, before, thing, record, names)
        if before is not None and parent is not None and _silent(value) and parent[0] != before[0]:
            self._differs(slice, before, thing, parent[0], record, [proof(parent[1], "parent")])
        if before is None:
            owners[thing] = parent if parent is not None and _silent(value) else (_agent(value), record.slim())

    def _encrypted(
        self, slice: Slice, owners: dict[tuple[str, Any], Owner], record: Record, names: tuple[str, ...]
    ) -> None:
        """An encrypted value belongs to a call, or to a message, which may be one of reasoning."""
        value = record.value
        slice.judged()
        of = _id(value, "entityId")
        subtype = value.get("subtype")
        thing = (CALL if subtype == "tool-call" else REASONING, of)
        if subtype == "message" and (MESSAGE, of) in owners:
            thing = (MESSAGE, of)
        self._compare(slice, owners.get(thing), thing, record, names)

    def _compare(
        self, slice: Slice, owner: Owner | None, thing: tuple[str, Any], record: Record, names: tuple[str, ...]
    ) -> None:
        if owner is None or _silent(record.value):
            return
        agent = _agent(record.value)
        if agent != owner[0]:
            self._differs(slice, owner, thing, agent, record, [])

    def _differs(
        self, slice: Slice, owner: Owner, thing: tuple[str, Any], agent: Agent, record: Record, more: list[Proof]
    ) -> None:
        what = f"{thing[0]} {plain(thing[1])}"
        slice.violated(
            [proof(owner[1], "owner", note=f"{what} is of {_who(owner[0])}"), *more, proof(record, "offender")],
            why=f"{next(iter(record.names))} at {record.label} is of {_who(agent)}, but {what} is of {_who(owner[0])}"
            f" since {owner[1].label}",
            expected=f"{what} only from {_who(owner[0])}",
            paths=("subagentRunId",),
            since=owner[1].t,
        )


def _told(owners: dict[tuple[str, Any], Owner], messages: Any, record: Record, *, anew: bool) -> None:
    """Take the owners of a list of messages, and of the calls in them; `anew`: also where others were known."""
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict) or type(message.get("id")) is not str:
            continue
        owner = (_agent(message), record)
        things = [(OF_ROLE.get(str(message.get("role")), MESSAGE), message["id"])]
        calls = message.get("toolCalls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict) and type(call.get("id")) is str:
                things.append((CALL, call["id"]))
        for thing in things:
            if anew or thing not in owners:
                owners[thing] = owner


def _id(value: dict[str, Any], name: str) -> Any:
    return atom(value[name]) if name in value else ("none", "")


def _silent(value: dict[str, Any]) -> bool:
    return value.get("subagentRunId", MISSING) is MISSING


def _agent(value: dict[str, Any]) -> Agent:
    return PARENT if _silent(value) else atom(value["subagentRunId"])


def _who(agent: Agent) -> str:
    return "the parent agent" if agent is PARENT else f"the subagent {plain(agent)}"
