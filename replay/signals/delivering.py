"""How signals reach runs, as plans that both forms of ``RunControl`` run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from eventstore import (
    IdempotencyConflict,
    InvalidArgument,
    InvalidEvent,
    RecordedEvent,
    RunClosed,
    RunStoreError,
    WrongExpectedVersion,
)
from eventstore.abreast import abreast
from eventstore.appends import Append, AppendResult
from eventstore.checks import check_count
from eventstore.commands import server_time
from eventstore.operations import Operations
from eventstore.plan import Plan, single
from eventstore.watch_commands import known_append, leave_receipt, receipt
from projections.state import RunState
from replay.context import RunContext
from replay.recording import MAX_CONFLICTS, load_state
from replay.signals.delivery import Delivered, SignalDelivery
from replay.signals.finding import Finder
from replay.signals.matching import is_watching
from replay.signals.receiving import Reception, Rules, receive, timers_of
from replay.signals.signal import Signal

RUNS_TOGETHER = 100
"""So many runs are read and appended to together."""


def deliver(
    operations: Operations, signal: Signal, run_id: str | None, rules: Rules
) -> Plan[SignalDelivery]:
    """Deliver a signal to the named run, or to each run that watches for it."""
    _check(operations, signal, rules)
    if run_id is not None:
        delivered = yield from deliver_to(operations, signal, run_id, rules, is_named=True)
        return SignalDelivery(
            signal.type, signal.source_id, (delivered,) if delivered else (), count=1
        )
    finder = Finder(operations.keys, signal)
    plans: list[Plan[Any]] = [_receipt(operations, signal), finder.next_page()]
    outcomes: list[Any] = yield from abreast(plans)
    for outcome in outcomes:
        if isinstance(outcome, RunStoreError):
            raise outcome
        if isinstance(outcome, SignalDelivery):
            return outcome
    reached, refused = yield from _deliver_to_found(operations, signal, rules, finder, outcomes[1])
    if signal.name and reached and not refused and not rules.dry_run:
        text = orjson.dumps({"runs": len(reached), "digest": signal.digest}).decode()
        keep_ms = operations.settings.signal_receipt_ms
        yield [leave_receipt(operations.keys, signal.name, text, keep_ms)]
    return SignalDelivery(
        signal.type, signal.source_id, tuple(reached), refused, count=len(reached)
    )


def _check(operations: Operations, signal: Signal, rules: Rules) -> None:
    check_count("handover_ms", rules.handover_ms, least=0)
    if rules.when_full not in ("refuse", "oldest", "newest"):
        raise InvalidArgument(
            f"when_full must be refuse, oldest or newest, not {rules.when_full!r}"
        )
    if rules.patch and not isinstance(signal.payload, dict):
        raise InvalidArgument("a signal that patches the state needs a JSON object as payload")
    size, limit = len(signal.event().encoded), operations.settings.max_event_bytes
    if size > limit:
        raise InvalidEvent(
            f"the signal is {size} bytes encoded, over {limit}; store its content elsewhere "
            "and reference it",
            type="signal.received",
            size_bytes=size,
        )


def _deliver_to_found(
    operations: Operations, signal: Signal, rules: Rules, finder: Finder, found: Sequence[str]
) -> Plan[tuple[list[Delivered], dict[str, RunStoreError]]]:
    reached: list[Delivered] = []
    refused: dict[str, RunStoreError] = {}
    while True:
        for begin in range(0, len(found), RUNS_TOGETHER):
            run_ids = found[begin : begin + RUNS_TOGETHER]
            outcomes = yield from abreast(
                [deliver_to(operations, signal, run_id, rules) for run_id in run_ids]
            )
            for run_id, outcome in zip(run_ids, outcomes, strict=True):
                if isinstance(outcome, Delivered):
                    reached.append(outcome)
                elif outcome is not None and not isinstance(outcome, RunClosed):
                    refused[run_id] = outcome
        if finder.done:
            return reached, refused
        found = yield from finder.next_page()


def deliver_to(
    operations: Operations, signal: Signal, run_id: str, rules: Rules, *, is_named: bool = False
) -> Plan[Delivered | None]:
    """Deliver a signal to one run; None if it is not named and does not watch for it (any more).

    Raises ``RunNotFound``, ``RunClosed``, ``SignalBufferFull``, ``IdempotencyConflict`` for
    another signal of the same source id, ``WrongExpectedVersion`` where others appended all the
    while, and as ``append`` does.
    """
    for _ in range(MAX_CONFLICTS):
        found = yield from _looked_up(operations, signal, run_id)
        if isinstance(found, Delivered):
            return found
        state, now_ms = found
        if not is_named and not is_watching(state, signal.type, signal.payload):
            return None
        reception = receive(state, signal, rules, now_ms)
        if rules.dry_run:
            return _told(state, reception, state.version + 1)
        try:
            return (yield from _record(operations, state, signal, reception, now_ms, rules))
        except (WrongExpectedVersion, IdempotencyConflict) as conflict:
            lost = conflict  # where it came twice at the same time, what the other did shows now
    raise lost


def _looked_up(
    operations: Operations, signal: Signal, run_id: str
) -> Plan[Delivered | tuple[RunState, int]]:
    """Give what the same signal did before; else how the run stands, and the server's time."""
    plans: list[Plan[Any]] = [
        _earlier(operations, signal, run_id),
        load_state(operations, run_id),
        single(server_time()),
    ]
    outcomes: list[Any] = yield from abreast(plans)
    for outcome in outcomes:  # what was done before counts, even of a run that cannot be read
        if isinstance(outcome, RunStoreError):
            raise outcome
        if isinstance(outcome, Delivered):
            return outcome
    return outcomes[1], outcomes[2]


def _record(
    operations: Operations,
    state: RunState,
    signal: Signal,
    reception: Reception,
    now_ms: int,
    rules: Rules,
) -> Plan[Delivered]:
    events, ended = reception.events, reception.ended
    timers = None
    if ended:
        timers = timers_of(state.run_id, events, ended.pause, now_ms, rules.handover_ms)
    result: AppendResult = yield Append(
        state.run_id, events, state.version, signal.name, timers=timers
    )
    if result.deduplicated and signal.name:
        earlier = yield from _earlier(operations, signal, state.run_id)
        if earlier and earlier.event_id != events[0].id:
            return earlier
    for recorded in operations.decoder.recorded(events, result, state.workflow_id):
        state.apply(recorded)
    return _told(state, reception, result.first_version)


def _told(state: RunState, reception: Reception, version: int) -> Delivered:
    ended, context = reception.ended, None
    if ended and ended.pause.pause_id in state.outcomes:
        context = RunContext.after(state, ended.pause, signals=ended.signals)
    return Delivered(
        state.run_id,
        reception.outcome,
        version,
        reception.events[0].id,
        ended.pause.pause_id if ended else None,
        context,
    )


def _earlier(operations: Operations, signal: Signal, run_id: str) -> Plan[Delivered | None]:
    """Give what the same signal did to the run before, if it did.

    Raises ``IdempotencyConflict`` if its source gave that id to another signal.
    """
    if signal.name is None:
        return None
    (version,) = yield [known_append(operations.keys, run_id, signal.name)]
    if version is None:
        return None
    (event,) = yield from operations.reader(run_id, version - 1, 1).next_page()
    if not _is_same(event, signal):
        raise IdempotencyConflict(run_id, signal.source_id or "", version)
    return Delivered(run_id, "duplicate", version, event.id)


def _is_same(event: RecordedEvent, signal: Signal) -> bool:
    if event.type == "signal.dropped":  # its payload was not kept
        return True
    return event.type == "signal.received" and bool(event.data.get("payload") == signal.payload)


def _receipt(operations: Operations, signal: Signal) -> Plan[SignalDelivery | None]:
    """Give what was told of the same signal when it had reached everybody who watched for it."""
    if signal.name is None:
        return None
    (found,) = yield [receipt(operations.keys, signal.name)]
    if found is None:
        return None
    known = orjson.loads(found)
    if known["digest"] != signal.digest:
        raise InvalidArgument(
            f"source id {signal.source_id!r} was used for another signal of type {signal.type!r}; "
            "each signal needs an id of its own",
            source_id=signal.source_id,
        )
    return SignalDelivery(signal.type, signal.source_id, deduplicated=True, count=known["runs"])
