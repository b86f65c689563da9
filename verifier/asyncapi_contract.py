"""A contract out of an AsyncAPI document.  Pure.

    channels' messages   events, named by their keys; `send` of a server's document is s2c, `receive` is c2s
    payload              a schema (draft-07, as AsyncAPI says)
    correlationId        a key, and what a reply must agree in
    reply                an invariant of the kind `responds`
    bindings.ws          query and headers: a schema of the handshake

Where every payload has a text of its own in the same place (`type: {const: hello}`), that tells messages apart.  Where
not, a message is what its payload is valid against, and it has to be valid against one, and only one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from verifier.asyncapi import Api, Channel, Message
from verifier.load import Document, Path
from verifier.references import DRAFT_7, Place, Schemas

_LOCATION = "$message.payload#"
_WORDS = ("user", "connection", "session", "client", "recording")


class Made:
    """A contract's sections, made from a document."""

    def __init__(self, api: Api, *, replies: str, taken: Iterable[str], type_path: str | None) -> None:
        self.api = api
        self.origins: dict[Path, tuple[Document, Path]] = {}
        """Where in the document each part of the contract stands."""
        self._schemas = Schemas(DRAFT_7, set(taken), foreign=True)
        self._payloads = {message: self._schema(message) for message in api.messages}
        self.keys: dict[str, Any] = {}
        self.events: dict[str, Any] = {}
        self.invariants: dict[str, Any] = {}
        formats = {message.format for message in api.messages}
        if len(formats) > 1:
            raise api.root.error("messages are of several formats", found=" and ".join(sorted(formats)), wanted="one")
        self.wire: dict[str, Any] = {"format": formats.pop(), "unknown": "violation"}
        path = type_path or self._telling()
        if path is not None:
            self.wire["type"] = path
        for message in api.messages:
            self._event(message, path)
        if path is None:
            self._one_of()
        else:
            judged = [name for name, event in self.events.items() if "schema" in event]
            if judged:
                self._invariant("asyncapi-shapes", {"kind": "schema", "events": judged}, api.root.child("channels"))
        if replies != "ignore":
            for reply in api.replies:
                for message in reply.asked:
                    self._responds(reply.operation, reply.place, message, reply.answers, replies, len(reply.asked) > 1)
        self._handshakes()
        self.schemas = self._schemas.made
        self.origins |= self._schemas.origins

    def document(self, name: str) -> Document:
        """Return the contract, if it is to be one of its own."""
        root = self.api.root
        if not self.invariants:
            raise root.error("no message has a payload, and none a reply: nothing would be judged")
        info = root.value.get("info")
        info = info if isinstance(info, dict) else {}
        title, version = str(info.get("title", "")), str(info.get("version", ""))
        head = {
            "id": re.sub(r"[^a-z0-9.-]+", "-", title.lower()).strip("-.") or "asyncapi",
            "version": version if re.fullmatch(r"\d+\.\d+\.\d+", version, re.ASCII) else "0.0.0",
            "title": title,
        }
        value = {"goldentape": 1, "contract": head, "wire": self.wire, "keys": self.keys, "schemas": self.schemas,
                 "events": self.events, "invariants": self.invariants}  # fmt: skip
        made = Document(name, value, dict(root.document.places))
        made.elsewhere = dict(self.origins)
        return made

    def merge(self, document: Document) -> None:
        """Put what the document says into a contract, whose own words count where both say something."""
        for section in ("wire", "keys", "schemas", "events", "invariants"):
            own = document.value.setdefault(section, {})
            if not isinstance(own, dict):
                continue  # the contract's shape is told of later
            for name, made in getattr(self, section).items():
                if name not in own:
                    own[name] = made
                    document.elsewhere |= {at: to for at, to in self.origins.items() if at[:2] == (section, name)}
                elif section == "events" and isinstance(own[name], dict):
                    for word, value in made.items():
                        if word not in own[name]:
                            own[name][word] = value
                            at = (section, name, word)
                            document.elsewhere |= {a: to for a, to in self.origins.items() if a[:3] == at}

    # -- what tells messages apart

    def _telling(self) -> str | None:
        """Return a path at which each message has to have a text of its own, or None."""
        constants = {message: dict(self._constants(self._payloads[message])) for message in self.api.messages}
        first, *others = constants.values()
        for path in first:
            if all(path in other for other in others) and not self._clash(path, constants):
                return path
        return None

    def _clash(self, path: str, constants: Mapping[Message, Mapping[str, tuple[str, ...]]]) -> bool:
        seen: dict[tuple[Channel | None, str, str], Message] = {}
        apart = len(self.api.channels) > 1
        for message, found in constants.items():
            channel = message.channel if apart and message.channel.address is not None else None
            for word in found[path]:
                for direction in ("s2c", "c2s") if message.dir == "any" else (message.dir,):
                    if seen.setdefault((channel, direction, word), message) is not message:
                        return True
        return False

    def _constants(self, schema: Any, at: str = "", depth: int = 0) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the paths at which a message has to have one of a few texts."""
        schema = self._resolved(schema)
        if not isinstance(schema, dict) or depth > 5:
            return
        for part in schema.get("allOf", ()):
            yield from self._constants(part, at, depth + 1)
        required = self._required(schema)
        for name, inner in schema.get("properties", {}).items():
            if name in required and re.fullmatch(r"[^.\[\]*@/]+", name):
                path = f"{at}.{name}" if at else name
                words = self._words(inner)
                if words:
                    yield path, words
                yield from self._constants(inner, path, depth + 1)

    def _required(self, schema: Any, depth: int = 0) -> set[str]:
        schema = self._resolved(schema)
        if not isinstance(schema, dict) or depth > 5:
            return set()
        found = set(schema.get("required", ()))
        return found.union(*(self._required(part, depth + 1) for part in schema.get("allOf", ())))

    def _words(self, schema: Any) -> tuple[str, ...]:
        schema = self._resolved(schema)
        if not isinstance(schema, dict):
            return ()
        words = [schema["const"]] if "const" in schema else schema.get("enum", [])
        return tuple(words) if isinstance(words, list) and all(isinstance(word, str) for word in words) else ()

    def _resolved(self, schema: Any) -> Any:
        seen: set[str] = set()
        while isinstance(schema, dict) and isinstance(ref := schema.get("$ref"), str) and ref not in seen:
            seen.add(ref)  # a circle is told of where schemas are checked
            schema = self._schemas.made[ref.removeprefix("#/schemas/").replace("~1", "/").replace("~0", "~")]
        return schema

    # -- the parts

    def _schema(self, message: Message) -> Any:
        if message.payload is None:
            return None
        target = message.payload.followed()
        if target.same(message.payload):
            return self._schemas.take(target)
        return {"$schema": DRAFT_7, "$ref": self._schemas.reference(target)}

    def _event(self, message: Message, path: str | None) -> None:
        event: dict[str, Any] = {"dir": message.dir}
        at: Path = ("events", message.name)
        self.origins[at] = (message.place.document, message.place.path)
        where = self._where(message.channel)
        schema = self._payloads[message]
        if path is not None:
            words = dict(self._constants(schema)).get(path, (message.type,))
            event["type"] = list(words) if len(words) > 1 else words[0]
        if schema is not None and message.payload is not None:
            if path is None:
                where["@payload"] = {"schema": schema}
            else:
                event["schema"] = schema
            inner: Path = ("where", "@payload", "schema") if path is None else ("schema",)
            self.origins[*at, *inner] = (message.payload.document, message.payload.path)
        if where:
            event["where"] = where
        if message.correlation is not None:
            name, pointer = self._correlated(message.correlation)
            event["keys"] = {name: pointer}
        self.events[message.name] = event

    def _where(self, channel: Channel) -> dict[str, Any]:
        """Return the test of a handshake's target, where channels have to be told apart by it."""
        if len(self.api.channels) < 2 or channel.address is None:
            return {}
        parts = [re.escape(part) if index % 2 == 0 else "[^/?]+" for index, part in
                 enumerate(re.split(r"\{([^{}]*)\}", channel.address))]  # fmt: skip
        return {"@target": {"pattern": "^[^?]*" + "".join(parts) + r"/?(\?|$)"}}

    def _correlated(self, place: Place) -> tuple[str, str]:
        """Return the key that a correlation id is, and its path."""
        location = place.value.get("location") if isinstance(place.value, dict) else None
        pointer = str(location).removeprefix(_LOCATION)
        if not str(location).startswith(_LOCATION) or not pointer.startswith("/"):
            raise place.error(
                "a correlation id over WebSocket stands in the payload", found=location, wanted=f"{_LOCATION}/..."
            )
        name = re.sub(r"\W", "_", pointer.rpartition("/")[2], flags=re.ASCII) or "id"
        name = f"{name}_id" if name in _WORDS else name
        if name not in self.keys:
            self.keys[name] = {"path": pointer, "missing": "ignore"}
            self.origins["keys", name] = (place.document, place.path)
        return name, pointer

    def _responds(
        self, operation: str, place: Place, asked: Message, answers: tuple[Message, ...], replies: str, several: bool
    ) -> None:
        invariant: dict[str, Any] = {
            "kind": "responds", "per": "connection", "trigger": asked.name,
            "answer": [answer.name for answer in answers], "mode": "each",
            "min_activations": 0,  # a document says what may be asked, not what was
        }  # fmt: skip
        if asked.correlation is not None and all(answer.correlation is not None for answer in answers):
            paths = {self._correlated(answer.correlation)[1] for answer in answers if answer.correlation is not None}
            if len(paths) == 1:
                invariant["agree"] = {paths.pop(): self._correlated(asked.correlation)[1]}
        if replies == "warning":
            invariant["severity"] = "warning"
        name = f"asyncapi-reply-{_slug(operation)}" + (f"-{_slug(asked.name)}" if several else "")
        self._invariant(name, invariant, place)

    def _one_of(self) -> None:
        """A message is told by its payload alone: of all that may come, it has to be one, and only one."""
        groups: dict[tuple[str, str], list[Message]] = {}
        for message in self.api.messages:
            for direction in ("s2c", "c2s") if message.dir == "any" else (message.dir,):
                target = self._where(message.channel).get("@target", {}).get("pattern", "")
                groups.setdefault((direction, target), []).append(message)
        judged = []
        for (direction, target), messages in groups.items():
            schemas = [self._payloads[message] for message in messages]
            if None in schemas:
                continue  # whatever comes is that message
            bare = [{w: v for w, v in s.items() if w != "$schema"} if isinstance(s, dict) else s for s in schemas]
            name = self._free(f"any_{direction}")
            self.events[name] = {"dir": direction, "schema": {"$schema": DRAFT_7, "oneOf": bare}}
            if target:
                self.events[name]["where"] = {"@target": {"pattern": target}}
            place = messages[0].channel.place.child("messages")
            self.origins["events", name] = (place.document, place.path)
            judged.append(name)
        if judged:
            self._invariant("asyncapi-shapes", {"kind": "schema", "events": judged}, self.api.root.child("channels"))

    def _handshakes(self) -> None:
        judged = []
        for channel in self.api.channels:
            parts = {"query": channel.query, "headers": channel.headers}
            given = {part: place for part, place in parts.items() if place is not None}
            if not given:
                continue
            name = self._free("handshake")
            schemas = {part: {"$ref": self._schemas.reference(place)} for part, place in given.items()}
            event: dict[str, Any] = {"on": "connect", "schema": {"$schema": DRAFT_7, "properties": schemas}}
            where = self._where(channel)
            if where:
                event["where"] = where
            self.events[name] = event
            self.origins["events", name] = (channel.place.document, channel.place.child("bindings").path)
            judged.append(name)
        if judged:
            self._invariant("asyncapi-handshake", {"kind": "schema", "events": judged}, self.api.root.child("channels"))

    def _free(self, name: str) -> str:
        found, number = name, 2
        while found in self.events:
            found, number = f"{name}_{number}", number + 1
        return found

    def _invariant(self, name: str, value: dict[str, Any], place: Place) -> None:
        while name in self.invariants:
            name += "-2"
        self.invariants[name] = value
        self.origins["invariants", name] = (place.document, place.path)


def _slug(text: str) -> str:
    """Return a name as invariants have them: `sendPing` is `send-ping`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text)
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-") or "x"


__all__ = ["Made"]
