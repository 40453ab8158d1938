"""Laws 2 and 6: live rows equal rebuilt rows, byte for byte, whatever happened on the way."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from histories import ListLog, logs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore.events import Position, RecordedEvent
from projections import Projector, open_database, rebuild, rebuild_run, verify, verify_sample
from projector_operations.samples import ALL, Picky, a_log, rows

PROJECTIONS = (*ALL, Picky)


def upcast(event: RecordedEvent) -> RecordedEvent:
    """Give an event as an upcaster leaves it: with another shape of data and a later version."""
    if event.type != "order.shipped":
        return event
    data = {"customer": repr(event.data)[:20], "amount": len(event.data)}
    return replace(event, data=data, schema_version=2)


class Repeating(ListLog):
    """A log that gives the last events before a place once more with what follows."""

    def read_log(
        self, after: Mapping[int, Position], *, limit: int, block_ms: int | None = None
    ) -> list[RecordedEvent]:
        earlier = {p: at._replace(n=max(0, at.n - 3)) for p, at in after.items()}
        return super().read_log(earlier, limit=limit + 3 * len(after), block_ms=block_ms)


def test_a_batch_that_comes_again_counts_once(path: Path) -> None:
    log = Repeating(a_log(5))
    with open_database(path) as database:
        with Projector(log, database, PROJECTIONS, batch_events=7) as projector:
            assert projector.run_to_end() == len(log.events)
        assert verify(ListLog(log.events), database, projections=PROJECTIONS).found == 0


steps = st.lists(
    st.sampled_from(["batch", "restart", "rebuild", "pause", "resume", "run"]), max_size=12
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(log=logs(), steps=steps, batch_events=st.integers(1, 40))
def test_live_rows_are_rebuilt_rows_whatever_happened(
    log: list[RecordedEvent], steps: list[str], batch_events: int
) -> None:
    events = [upcast(event) for event in log]
    source = ListLog(events)
    with tempfile.TemporaryDirectory() as folder:
        path, whole = Path(folder) / "a.db", Path(folder) / "whole.db"
        with open_database(path) as database:
            projector = Projector(source, database, PROJECTIONS, batch_events=batch_events)
            projector.run_once()
            for step in steps:
                if step == "batch":
                    projector.run_once()
                elif step == "restart":
                    projector.close()
                elif step == "rebuild":
                    projector.rebuild("runs", "timeline")
                elif step == "run":
                    rebuild_run(source, database, events[0].run_id, PROJECTIONS)
                else:
                    getattr(projector, step)("runs")
                    assert verify(source, database, projections=PROJECTIONS).found == 0
            projector.resume("runs")
            projector.run_to_end()
            projector.close()
            live = rows(path)
            assert verify(source, database, projections=PROJECTIONS).differences == []
            assert verify_sample(source, database, 9, projections=PROJECTIONS).differences == []
            rebuild(source, database, projections=PROJECTIONS)
            assert rows(path) == live
        with open_database(whole) as other, Projector(source, other, PROJECTIONS) as projector:
            projector.run_to_end()
        assert rows(whole) == live
