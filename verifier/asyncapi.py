"""AsyncAPI 3 documents: which messages may pass, in which direction, and what answers what.  Pure.

What is read here is as the document has it; `asyncapi_contract.py` makes a contract of it.  A field that AsyncAPI does
not know is an error: a misspelt `payload` would else be a message that nobody judges.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from verifier.load import nearest
from verifier.references import Place

SERVER, CLIENT = "server", "client"

_FIELDS: Mapping[str, frozenset[str]] = {
    "a document": frozenset({"asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations",
                             "components"}),
    "a channel": frozenset({"address", "messages", "title", "summary", "description", "servers", "parameters", "tags",
                            "externalDocs", "bindings"}),
    "an operation": frozenset({"action", "channel", "title", "summary", "description", "security", "tags",
                               "externalDocs", "bindings", "traits", "messages", "reply"}),
    "a reply": frozenset({"address", "channel", "messages"}),
    "a message": frozenset({"headers", "payload", "correlationId", "contentType", "name", "title", "summary",
                            "description", "tags", "externalDocs", "bindings", "examples", "traits"}),
    "a multi format schema": frozenset({"schemaFormat", "schema"}),
    "a WebSocket binding": frozenset({"method", "query", "headers", "bindingVersion"}),
}  # fmt: skip
_JSON_SCHEMA = re.compile(
    r"application/(vnd\.aai\.asyncapi|schema)(\+json|\+yaml)?\s*(;\s*version=(3[.\d]*|draft-07))?", re.IGNORECASE
)
_JSON = re.compile(r"(application/([\w.-]+\+)?json|text/json)\s*(;.*)?", re.IGNORECASE)
_MSGPACK = re.compile(r"application/([\w.-]+\+|x-|vnd\.)?msgpack\s*(;.*)?", re.IGNORECASE)


@dataclass(slots=True, eq=False)
class Channel:
    """A channel that is reached over WebSocket."""

    name: str
    place: Place
    messages: list[Message] = field(default_factory=list)
    query: Place | None = None
    headers: Place | None = None

    @property
    def address(self) -> str | None:
        """The path of its handshake, if it says one."""
        address = self.place.value.get("address")
        return address if isinstance(address, str) and address.startswith("/") else None


@dataclass(slots=True, eq=False)
class Message:
    """A message of a channel, its traits merged."""

    name: str
    """The event that it is."""
    channel: Channel
    place: Place
    format: str
    """json or msgpack."""
    type: str
    """Its `name`, else its key."""
    payload: Place | None
    correlation: Place | None
    directions: set[str] = field(default_factory=set)

    @property
    def dir(self) -> str:
        """Its direction as an event has it."""
        return next(iter(self.directions)) if len(self.directions) == 1 else "any"


@dataclass(frozen=True, slots=True)
class Reply:
    """What an operation's messages must be answered by."""

    operation: str
    place: Place
    asked: tuple[Message, ...]
    answers: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Api:
    """What a document says about WebSocket connections."""

    root: Place
    channels: tuple[Channel, ...]
    replies: tuple[Reply, ...]

    @property
    def messages(self) -> list[Message]:
        """The messages of all channels."""
        return [message for channel in self.channels for message in channel.messages]


def read(root: Place, *, perspective: str = SERVER, channels: tuple[str, ...] = ()) -> Api:
    """Return what a document says; `channels`: only these.  Raises ContractError with the place of what is wrong."""
    _version(root)
    _known(root, "a document")
    chosen = _channels(root, channels)
    for channel in chosen:
        _messages(root, channel, [m.name for other in chosen for m in other.messages], len(chosen) > 1)
    api = Api(root, tuple(chosen), tuple(_operations(root, chosen, "send" if perspective == SERVER else "receive")))
    if not api.messages:
        raise root.error("no channel has a message: nothing would be judged")
    return api


def _version(root: Place) -> None:
    version, at = root.value.get("asyncapi"), root.child("asyncapi")
    if isinstance(version, str) and version.startswith(("1.", "2.")):
        raise at.error(
            "AsyncAPI 2 is not read: by `publish` it means what others publish, and not all readers do", found=version,
            wanted="3.0.0", fix="convert the document to AsyncAPI 3",
        )  # fmt: skip
    if not isinstance(version, str) or re.fullmatch(r"3\.\d+\.\d+(-[\w.]+)?", version) is None:
        raise at.error("another version of AsyncAPI", found=version, wanted="3.0.0")


def _channels(root: Place, names: tuple[str, ...]) -> list[Channel]:
    every = _mapping(root, "channels")
    for name in names:
        if name not in every:
            raise root.child("channels").error("no such channel", found=name, fix=nearest(name, every))
    found = []
    for name in names or every:
        place = root.child("channels", name).followed()
        _known(place, "a channel")
        if _speaks(root, place):
            found.append(Channel(name, place))
            _binding(found[-1])
    if not found:
        raise root.error("no channel is of a server that speaks ws or wss: nothing would be judged")
    return found


def _speaks(root: Place, channel: Place) -> bool:
    """Return whether a channel is reached over WebSocket; one that names no server is on all of them."""
    servers = [channel.child("servers", index) for index in range(len(_list(channel, "servers")))]
    servers = servers or [root.child("servers", name) for name in _mapping(root, "servers")]
    protocols = [str(server.followed().value.get("protocol", "ws")) for server in servers]
    return not protocols or any(protocol in ("ws", "wss") for protocol in protocols)


def _binding(channel: Channel) -> None:
    """What the query and the headers of a handshake must be."""
    place = channel.place
    for step in ("bindings", "ws"):
        if step not in _mapping_at(place):
            return
        place = place.child(step).followed()
    _known(place, "a WebSocket binding")
    if "query" in place.value:
        channel.query = place.child("query").followed()
    if "headers" in place.value:
        channel.headers = place.child("headers").followed()


def _messages(root: Place, channel: Channel, taken: list[str], several: bool) -> None:
    for key in _mapping(channel.place, "messages"):
        place = channel.place.child("messages", key).followed()
        fields = _merged(place)
        name = _event_name(key)
        if several and name in taken:
            name = _event_name(f"{channel.name}.{key}")
        if "headers" in fields:
            raise fields["headers"].error(
                "messages over WebSocket have no headers", fix="put them into the payload, or leave them out"
            )
        given = fields.get("name")
        channel.messages.append(
            Message(
                name, channel, place, _format(root, fields), str(given.value) if given is not None else str(key),
                _payload(fields), fields["correlationId"].followed() if "correlationId" in fields else None,
            )
        )  # fmt: skip


def _merged(place: Place) -> dict[str, Place]:
    """Return where each field of a message stands; what traits say counts where the message itself does not."""
    found: dict[str, Place] = {}
    for index in range(len(_list(place, "traits"))):
        trait = place.child("traits", index).followed()
        _known(trait, "a message")
        for word in ("payload", "traits"):
            if word in trait.value:
                raise trait.child(word).error("a trait has none", found=word)
        found |= {word: trait.child(word) for word in trait.value}
    _known(place, "a message")
    return found | {word: place.child(word) for word in place.value}


def _format(root: Place, fields: Mapping[str, Place]) -> str:
    at = fields.get("contentType")
    if at is None and "defaultContentType" in root.value:
        at = root.child("defaultContentType")
    content = str(at.value) if at is not None else "application/json"
    if _JSON.fullmatch(content):
        return "json"
    if _MSGPACK.fullmatch(content):
        return "msgpack"
    assert at is not None
    raise at.error("payloads of this content type are not read", found=content, wanted="application/json")


def _payload(fields: Mapping[str, Place]) -> Place | None:
    if "payload" not in fields:
        return None
    place = fields["payload"].followed()
    if not isinstance(place.value, dict) or "schemaFormat" not in place.value:
        return fields["payload"]
    _known(place, "a multi format schema")
    if not _JSON_SCHEMA.fullmatch(str(place.value["schemaFormat"])):
        raise place.child("schemaFormat").error(
            "only payloads in JSON Schema are read", found=place.value["schemaFormat"],
            wanted="application/schema+json;version=draft-07",
        )  # fmt: skip
    if "schema" not in place.value:
        raise place.error("`schema` is missing")
    return place.child("schema")


def _operations(root: Place, chosen: list[Channel], to_client: str) -> list[Reply]:
    """Give messages their directions, and return what must be answered by what."""
    found = []
    for name in _mapping(root, "operations"):
        place = root.child("operations", name).followed()
        _known(place, "an operation")
        action = place.value.get("action")
        if action not in ("send", "receive"):
            at = place.child("action") if "action" in place.value else place
            raise at.error("an operation's action", found=action, wanted="send or receive")
        channel = _channel_of(place, chosen, None)
        if channel is None:
            continue
        out, back = ("s2c", "c2s") if action == to_client else ("c2s", "s2c")
        asked = _said(place, channel)
        for message in asked:
            message.directions.add(out)
        if "reply" not in place.value:
            continue
        reply = place.child("reply").followed()
        _known(reply, "a reply")
        target = _channel_of(reply, chosen, channel)
        if target is None:
            raise reply.child("channel").error("the reply is of a channel that is not read", fix="read that one, too")
        answers = _said(reply, target)
        for message in answers:
            message.directions.add(back)
        found.append(Reply(name, place, tuple(asked), tuple(answers)))
    return found


def _channel_of(place: Place, chosen: list[Channel], default: Channel | None) -> Channel | None:
    if "channel" not in place.value:
        if default is None:
            raise place.error("`channel` is missing")
        return default
    target = place.child("channel").followed()
    return next((channel for channel in chosen if channel.place.same(target)), None)


def _said(place: Place, channel: Channel) -> list[Message]:
    """Return the messages that an operation or a reply names; none named means all of the channel."""
    if "messages" not in place.value:
        return channel.messages
    found = []
    for index in range(len(_list(place, "messages"))):
        at = place.child("messages", index)
        target = at.followed()
        meant = [message for message in channel.messages if message.place.same(target)]
        if not meant:
            raise at.error(f"not a message of the channel {channel.name}", fix=f"name it in the channel {channel.name}")
        found += meant
    return found


def _known(place: Place, what: str) -> None:
    """Raise ContractError where something that is `what` has a field which that does not have."""
    for name in _mapping_at(place):
        if name not in _FIELDS[what] and name != "$ref" and not name.startswith("x-"):
            raise place.child(name).error(
                f"{what} of AsyncAPI has no such field", found=name, fix=nearest(name, _FIELDS[what])
            )


def _mapping(place: Place, name: str) -> dict[str, Any]:
    if name not in _mapping_at(place):
        return {}
    return _mapping_at(place.child(name).followed())


def _mapping_at(place: Place) -> dict[str, Any]:
    if not isinstance(place.value, dict):
        raise place.error("a value of another type", wanted="a mapping")
    return place.value


def _list(place: Place, name: str) -> list[Any]:
    value = _mapping_at(place).get(name, [])
    if not isinstance(value, list):
        raise place.child(name).error("a value of another type", wanted="a list")
    return value


def _event_name(text: str) -> str:
    name = re.sub(r"[^\w.-]", "_", str(text), flags=re.ASCII)
    return name if re.match(r"[A-Za-z_]", name) else f"_{name}"


__all__ = ["CLIENT", "SERVER", "Api", "Channel", "Message", "Reply", "read"]
