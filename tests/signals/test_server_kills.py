"""The server is killed while signals arrive: what was acknowledged is there, once, in order."""

from __future__ import annotations

import threading
from typing import Any

from consistency import assert_consistent
from faults import eventually

from eventstore import NewEvent, Settings, StoreUnavailable, SyncEventStore
from replay import SyncRunControl
from signals.laws import assert_lawful, payloads_of, watched_by
from signals.racing import WAIT_FOR
from signals.watched import assert_indexed

SIGNALS = 60
KILLS_AFTER = (15, 30, 45)


def test_no_acknowledged_signal_is_forgotten_or_doubled_when_the_server_is_killed(
    own_server: Any,
) -> None:
    # given a run that pauses for a signal again and again, and a sender that repeats what failed
    told: list[int] = []
    settings = Settings(append_timeout_ms=20_000, retry_pause_ms=5)
    with SyncEventStore.open(own_server.url, namespace="kills", settings=settings) as store:
        store.append("run", NewEvent("run.created", {"input": 1}))
        control = SyncRunControl(store)
        control.watch("run", "paid")

        def send() -> None:
            for order in range(SIGNALS):
                _deliver(control, order)
                told.append(order)
                if order % 5 == 4:
                    _pause(store, control, f"p{order}")

        sender = threading.Thread(target=send)
        sender.start()
        # when the server is killed in the middle of it, three times
        for enough in KILLS_AFTER:
            eventually(lambda enough=enough: len(told) >= enough, within_s=60)  # type: ignore[misc]
            own_server.restart()
        sender.join(60)
        assert not sender.is_alive()
        # then each signal is there once, in the order in which they were acknowledged
        events = store.load("run")
        assert [payload["order"] for payload in payloads_of(events)] == list(range(SIGNALS))
        state = assert_lawful(events)
        assert_indexed(own_server, "kills", {"run": watched_by(state)})
        assert_consistent(own_server, "kills")


def _deliver(control: SyncRunControl, order: int) -> None:
    """Deliver to whoever watches, as a webhook's sender does: again, until it was taken."""
    while True:
        try:
            delivery = control.deliver("paid", {"order": order}, source_id=f"hook-{order}")
        except StoreUnavailable:
            continue
        if delivery.count and not delivery.refused:
            return


def _pause(store: SyncEventStore, control: SyncRunControl, pause_id: str) -> None:
    """Wait for a signal; one that is kept already ends it at once."""
    while pause_id not in [e.data.get("pause_id") for e in store.load("run")]:
        try:
            control.pause(
                "run", pause_id=pause_id, state={}, window=None, on_expiry="park", wait_for=WAIT_FOR
            )
        except StoreUnavailable:
            continue
