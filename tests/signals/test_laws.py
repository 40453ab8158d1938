"""Any interleaving of signals, pauses, resumes, time-outs and expiries keeps the laws."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replaying import HANDOVER_MS, interleaved, restoring

from eventstore import AlreadyResumed, NewEvent, PauseNotFound, RunClosed, SyncEventStore
from eventstore.events.identifiers import new_id
from eventstore.plan import Plan
from replay import RunContext, pausing
from replay.pausing import Paused
from replay.signals import watching
from replay.signals.delivering import deliver
from replay.signals.delivery import SignalDelivery
from replay.signals.receiving import Rules
from replay.signals.signal import Signal
from replay.signals.waiting import pause_and_wait, waiting_data
from signals.laws import assert_lawful, payloads_of, watched_by
from signals.watched import assert_indexed

ON_A_REAL_SERVER = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}
FAR_MS = 10**14
KINDS = ("a", "b")
RULES = Rules(
    patch=False, when_full="refuse", max_buffered=100, handover_ms=HANDOVER_MS, dry_run=False
)

waited = st.builds(
    lambda kind, least: {
        "type": kind,
        "conditions": [{"field": "n", "op": "==" if least == 1 else ">=", "value": least}],
    },
    st.sampled_from(KINDS),
    st.integers(0, 2),
)
waits = st.lists(waited, min_size=1, max_size=3)
actors = st.lists(
    st.one_of(
        st.tuples(
            st.just("pause"), waits, st.sampled_from(["any", "all"]),
            st.sampled_from([None, 0, 3600]), st.sampled_from([None, 0]),
            st.sampled_from(["restore", "park"]),
        ),
        st.tuples(
            st.just("deliver"), st.sampled_from(KINDS), st.integers(0, 2),
            st.sampled_from([None, "s1", "s2"]), st.booleans(),
        ),
        st.tuples(st.just("resume"), st.integers(0, 2)),
        st.tuples(st.just("restore")),
        st.tuples(st.just("watch"), st.sampled_from(KINDS)),
    ),
    min_size=2,
    max_size=8,
)  # fmt: skip


def plan_of(store: SyncEventStore, run: str, number: int, actor: Any, handed: Any) -> Plan[Any]:
    """Give what an actor does, as a plan."""
    operations = store.operations
    if actor[0] == "pause":
        _, wait_for, mode, window, timeout, on_expiry = actor
        data = {"state": {}, "on_expiry": on_expiry, **waiting_data(wait_for, mode, timeout)}
        pause_id = f"p{number}"
        return pausing.pause(operations, run, data, window, pause_id, None, None, pause_and_wait)
    if actor[0] == "deliver":
        _, kind, n, source, is_named = actor
        # A webhook has its payload from its sender: the same id comes with the same one.
        payload = {"n": n if source is None else 1, "by": source or number}
        signal = Signal.of(kind, payload, source and f"{run}-{source}", None)
        return deliver(operations, signal, run if is_named else None, RULES)
    if actor[0] == "resume":
        return pausing.resume(operations, run, None, f"p{actor[1]}", "manual", None)
    if actor[0] == "watch":
        return watching.watch(operations, run, actor[1], [], f"w{number}")
    return restoring(operations, handed, FAR_MS)


@settings(max_examples=60, **ON_A_REAL_SERVER)
@given(acting=actors, choices=st.lists(st.integers(0, 7), max_size=60))
def test_whoever_meets_in_whatever_order_each_pause_has_one_outcome_and_each_signal_one_use(
    sync_store: SyncEventStore, server: Any, namespace: str, acting: Any, choices: list[int]
) -> None:
    # given a run, and people, services and webhooks that all want something of it
    server.forget(namespace)
    sync_store.close()
    sync_store.start()
    run = new_id()
    sync_store.append(run, NewEvent("run.created", {"input": 1}))
    handed: list[RunContext] = []
    plans = [plan_of(sync_store, run, n, actor, handed) for n, actor in enumerate(acting)]
    # when they take their steps in turns
    outcomes = sync_store.perform(interleaved(plans, iter(choices)))
    # then the history keeps the laws
    events = sync_store.load(run)
    state = assert_lawful(events)
    assert_indexed(server, namespace, {run: watched_by(state)} if watched_by(state) else {})
    # and each actor was told what happened
    for outcome in outcomes:
        assert not isinstance(outcome, Exception) or isinstance(
            outcome, (AlreadyResumed, PauseNotFound, RunClosed)
        )
    told = Counter[str]()
    by_id = {event.id: event for event in events}
    for actor, outcome in zip(acting, outcomes, strict=True):
        if isinstance(outcome, Paused) and outcome.context is not None:
            told["signal"] += 1
        if isinstance(outcome, RunContext):
            told["manual"] += 1
        if isinstance(outcome, SignalDelivery):
            for each in outcome.runs:
                assert by_id[each.event_id or ""].data["payload"]["by"] is not None
                told["signal"] += each.outcome == "resumed"
                told["received"] += each.outcome in ("resumed", "buffered")
            if actor[4]:
                assert outcome.count == 1, "a signal to a run by name must reach it"
    causes = Counter(event.data["cause"] for event in events if event.type == "run.resumed")
    assert (told["signal"], told["manual"]) == (causes["signal"], causes["manual"])
    assert told["received"] == len(payloads_of(events))
