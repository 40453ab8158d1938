"""Each store operation, described once: what to send, and what the reply means.

Nothing here does I/O. The asyncio and the blocking store execute the same descriptions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Generic, TypeVar

from eventstore.appends import AppendResult, OpenResult, PreparedAppend
from eventstore.decoding import Decoder
from eventstore.errors import (
    IdempotencyConflict,
    OutcomeUnknown,
    RunClosed,
    RunStoreError,
    ServerRefused,
    WrongExpectedVersion,
)
from eventstore.events import Position, RecordedEvent
from eventstore.keys import LAYOUT_VERSION, Keys

_log = logging.getLogger("runstore.store")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Command(Generic[T]):
    """One call to the server: words to send, or a script with its keys, and how to read it."""

    words: tuple[Any, ...]
    decode: Callable[[Any], T]
    script: str | None = None
    """The name of a file in ``scripts``; ``words`` are then its key count, keys and arguments."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a run's head says: its last version, whether it ended, and its workflow."""

    run_id: str
    version: int
    closed: bool
    deleted: bool
    workflow_id: str | None


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What a namespace was created with."""

    partitions: int
    layout: int
    store_id: str
    created_ms: int


@cache
def script_text(name: str) -> str:
    """Give the source of a script."""
    return resources.files("eventstore").joinpath("scripts", f"{name}.lua").read_text("utf-8")


def _scripted(
    name: str, keys: Sequence[str], arguments: Sequence[Any], decode: Callable[[Any], T]
) -> Command[T]:
    return Command((len(keys), *keys, *arguments), decode, script=name)


def open_namespace(keys: Keys, store_id: str) -> Command[StoreFacts]:
    """Create the namespace, or read what it was created with."""
    return _scripted(
        "open",
        [keys.meta],
        [keys.partitions, LAYOUT_VERSION, store_id],
        lambda reply: StoreFacts(int(reply[0]), int(reply[1]), reply[2].decode(), int(reply[3])),
    )


def store_id(keys: Keys) -> Command[str]:
    """Read the id of the namespace; ``no store`` where there is none."""
    return Command(("HGET", keys.meta, "id"), lambda reply: reply.decode() if reply else "no store")


AppendOutcome = AppendResult | RunStoreError


def append_batch(
    keys: Keys, partition: int, batch: Sequence[tuple[PreparedAppend, bool]]
) -> Command[list[AppendOutcome]]:
    """Append to runs of one partition in one script call, each with its own outcome.

    The flag beside each append says that an earlier attempt may have written it.
    """
    names = [keys.log(partition), keys.tail(partition), keys.due(partition)]
    names += (keys.watches(partition), keys.stalls(partition))
    arguments: list[Any] = [len(batch)]
    tag = keys.tag(partition)
    for append, may_be_written in batch:
        run_id = append.run_id
        names += (keys.run_in(tag, run_id), keys.head_in(tag, run_id))
        arguments += (run_id, append.append_id, append.expected.wire)
        if may_be_written or append.reaches:
            arguments += (f"?{append.fields[0]}", append.reaches or 1, *append.fields[1:])
        else:
            arguments += append.fields
    return _scripted(
        "append",
        names,
        arguments,
        lambda reply: [
            _append_outcome(append, partition, row)
            for (append, _), row in zip(batch, reply, strict=True)
        ],
    )


def _append_outcome(append: PreparedAppend, partition: int, row: list[bytes]) -> AppendOutcome:
    kind = row[0]
    if kind == b"ok":
        first, last, ms, n = int(row[1]), int(row[2]), int(row[3]), int(row[4])
        positions = tuple([Position(partition, ms, n + i) for i in range(last - first + 1)])
        result = OpenResult(append.run_id, first, last, positions, row[5] == b"1")
        result.__class__ = AppendResult
        return result  # type: ignore[no-any-return]
    if kind == b"version":
        return WrongExpectedVersion(append.run_id, append.expected.value, int(row[1]))
    if kind == b"closed":
        return RunClosed(append.run_id, int(row[1]))
    if kind == b"archived":
        return OutcomeUnknown(append.run_id, append.append_id, 0, begins=int(row[1]))
    if kind == b"conflict":
        key = append.idempotency_key or append.append_id
        return IdempotencyConflict(append.run_id, key, int(row[1]))
    reply = row[1].decode(errors="replace")
    return ServerRefused(f"the server refused the append: {reply}", reply=reply)


def head(keys: Keys, run_id: str) -> Command[Head | None]:
    """Read a run's head; None if there is no such run."""

    def decode(reply: list[bytes | None]) -> Head | None:
        version, state, workflow = reply
        if version is None:
            return None
        name = workflow.decode() if workflow else None
        return Head(run_id, int(version), state != b"open", state == b"deleted", name)

    return Command(("HMGET", keys.head(run_id), "v", "s", "w"), decode)


def run_page(
    keys: Keys, decoder: Decoder, run_id: str, after: int, before: int | None, limit: int,
    *, backwards: bool = False,
) -> Command[list[RecordedEvent]]:  # fmt: skip
    """Read up to ``limit`` events with versions between ``after`` and ``before``, both out."""
    low = f"({after}-0" if after else "-"
    high = f"({before}-0" if before is not None else "+"
    words = ("XREVRANGE", keys.run(run_id), high, low) if backwards else (
        "XRANGE", keys.run(run_id), low, high)  # fmt: skip
    partition = keys.partition_of(run_id)

    def decode(reply: list[Any]) -> list[RecordedEvent]:
        return [decoder.run_entry(run_id, partition, *entry) for entry in reply]

    return Command((*words, "COUNT", limit), decode)


def wait_for_run(
    keys: Keys, decoder: Decoder, run_id: str, after: int, block_ms: int, limit: int
) -> Command[list[RecordedEvent]]:
    """Read events of a run after a version, waiting for the first up to ``block_ms``."""
    partition = keys.partition_of(run_id)

    def decode(reply: Any) -> list[RecordedEvent]:
        entries = reply[0][1] if reply else []
        return [decoder.run_entry(run_id, partition, *entry) for entry in entries]

    words = ("XREAD", "COUNT", limit, "BLOCK", block_ms, "STREAMS", keys.run(run_id), f"{after}-0")
    return Command(words, decode)


def log_page(
    keys: Keys,
    decoder: Decoder,
    after: Mapping[int, Position],
    limit: int,
    block_ms: int | None = None,
) -> Command[dict[int, list[RecordedEvent]]]:
    """Read up to ``limit`` events of each of the named partitions after their positions."""
    partitions = {keys.log(partition).encode(): partition for partition in after}
    wait = () if block_ms is None else ("BLOCK", block_ms)
    ids = [position.entry_id for position in after.values()]

    def decode(reply: Any) -> dict[int, list[RecordedEvent]]:
        return {
            partitions[key]: [decoder.log_entry(partitions[key], *entry) for entry in entries]
            for key, entries in reply or ()
        }

    return Command(("XREAD", "COUNT", limit, *wait, "STREAMS", *partitions, *ids), decode)


def tail(keys: Keys, partition: int) -> Command[Position]:
    """Read where a partition's log ends; ``n`` is 0 for an empty one."""
    return Command(
        ("GET", keys.tail(partition)),
        lambda reply: Position.at_entry(partition, reply or b"0-0"),
    )


def log_start(keys: Keys, partition: int) -> Command[Position | None]:
    """Read where a partition's log begins; None for one without entries."""
    words = ("XRANGE", keys.log(partition), "-", "+", "COUNT", 1)
    return Command(
        words, lambda reply: Position.at_entry(partition, reply[0][0]) if reply else None
    )


def entry_before(keys: Keys, at: Position) -> Command[Position | None]:
    """Read the last entry of a log before the millisecond of a position; None if none is left."""
    return _last_entry(keys, at.partition, f"({at.ms}-0")


def entry_up_to(keys: Keys, at: Position) -> Command[Position | None]:
    """Read the last entry of a log up to a position; None if none is left."""
    return _last_entry(keys, at.partition, at.entry_id)


def entry_behind(keys: Keys, at: Position) -> Command[Position | None]:
    """Read the first entry of a log behind a position; None if there is none."""
    words = ("XRANGE", keys.log(at.partition), f"({at.entry_id}", "+", "COUNT", 1)
    return Command(
        words, lambda reply: Position.at_entry(at.partition, reply[0][0]) if reply else None
    )


def _last_entry(keys: Keys, partition: int, up_to: str) -> Command[Position | None]:
    words = ("XREVRANGE", keys.log(partition), up_to, "-", "COUNT", 1)
    return Command(
        words, lambda reply: Position.at_entry(partition, reply[0][0]) if reply else None
    )


def server_time() -> Command[int]:
    """Read the server's clock in ms since 1970."""
    return Command(("TIME",), lambda reply: int(reply[0]) * 1000 + int(reply[1]) // 1000)
