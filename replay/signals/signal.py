"""A signal on its way to runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Self

import orjson

from eventstore import NewEvent
from eventstore.codec import encode_json
from eventstore.events.identifiers import check_name


@dataclass(frozen=True, slots=True)
class Signal:
    """An outside event. ``source_id`` is what its sender calls it, to know it when it returns."""

    type: str
    payload: Any
    source_id: str | None
    meta: dict[str, Any]

    @classmethod
    def of(cls, signal_type: str, payload: Any, source_id: str | None, actor: str | None) -> Self:
        """Make a signal. Raises ``InvalidArgument`` for a bad name, or what is no JSON."""
        check_name("type", signal_type)
        if source_id is not None:
            check_name("source_id", source_id)
        meta = {} if actor is None else {"actor": check_name("actor", actor)}
        # As readers will see it: conditions are asked of what is stored, not of a tuple.
        stored = orjson.loads(encode_json(payload, "payload"))
        return cls(signal_type, stored, source_id, meta)

    @property
    def name(self) -> str | None:
        """What the signal is known by: the same source may count each type on its own."""
        if self.source_id is None:
            return None
        named = f"{self.type}\n{self.source_id}".encode()
        return "signal:" + hashlib.blake2b(named, digest_size=16).hexdigest()

    @property
    def digest(self) -> str:
        """What tells its content from another's; who guesses that must know the source id too."""
        known = [self.type, self.source_id, self.payload]
        content = orjson.dumps(known, option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(content, digest_size=16).hexdigest()

    def event(self) -> NewEvent:
        """Give the event that records it in a run."""
        data = {"type": self.type, "payload": self.payload}
        if self.source_id is not None:
            data["source_id"] = self.source_id
        return NewEvent("signal.received", data, meta=self.meta)
