"""Two projections of one's own: what calls cost, and who is being waited for.

Run it as it is, or name the classes as entry points of your package, and ``runstore project run``
feeds them too:

    [project.entry-points."runstore.projections"]
    costs = "my_package.own_projections:CostReport"
    waiting = "my_package.own_projections:WaitingOnWhom"
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar

from eventstore import NewEvent, RecordedEvent, SyncEventStore
from projections import BUILT_IN, Projection, Projector, Transaction, open_database

ENDS = ("run.completed", "run.failed", "run.aborted", "run.deleted")


class CostReport(Projection):
    """What models and tools used, call by call, so that any sum can be asked for."""

    name: ClassVar[str] = "costs"
    version: ClassVar[int] = 1
    schema: ClassVar[str] = """
        CREATE TABLE call_costs (
            run_id        TEXT NOT NULL,
            call_id       TEXT NOT NULL,
            workflow_id   TEXT,
            name          TEXT,
            input_tokens  INTEGER NOT NULL DEFAULT 0,
            output_tokens INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (run_id, call_id)
        );
        CREATE INDEX call_costs_by_name ON call_costs (name);
        CREATE VIEW cost_report AS
            SELECT workflow_id, name, count(*) AS calls,
                   sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens
            FROM call_costs GROUP BY workflow_id, name;
    """
    run_tables: ClassVar[tuple[str, ...]] = ("call_costs",)

    def apply(self, tx: Transaction, event: RecordedEvent) -> None:
        """Note a call when it starts, and what it used when it is done."""
        if event.type == "run.deleted":
            tx.execute("DELETE FROM call_costs WHERE run_id = ?", (event.run_id,))
        elif event.type == "call.started":
            tx.execute(
                "INSERT OR IGNORE INTO call_costs (run_id, call_id, workflow_id, name) "
                "VALUES (?, ?, ?, ?)",
                (event.run_id, event.data["call_id"], event.workflow_id, event.data.get("name")),
            )
        elif event.type == "call.completed":
            usage = event.data.get("usage") or {}
            tx.execute(
                "UPDATE call_costs SET input_tokens = ?, output_tokens = ? "
                "WHERE run_id = ? AND call_id = ?",
                (
                    usage.get("input_tokens", 0),
                    usage.get("output_tokens", 0),
                    event.run_id,
                    event.data["call_id"],
                ),
            )


class WaitingOnWhom(Projection):
    """Which runs wait for whom: one row for each open pause that names an ``assignee``."""

    name: ClassVar[str] = "waiting"
    version: ClassVar[int] = 1
    schema: ClassVar[str] = """
        CREATE TABLE waiting (
            run_id   TEXT NOT NULL,
            pause_id TEXT NOT NULL,
            whom     TEXT NOT NULL,
            reason   TEXT,
            since    TEXT NOT NULL,
            PRIMARY KEY (run_id, pause_id)
        );
        CREATE INDEX waiting_by_whom ON waiting (whom, since);
    """
    run_tables: ClassVar[tuple[str, ...]] = ("waiting",)
    on_failure = "skip"  # a pause that says something strange must not hold up the list

    def apply(self, tx: Transaction, event: RecordedEvent) -> None:
        """Put a pause on the list, and take it off when it is over."""
        if event.type == "run.paused" and "assignee" in event.meta:
            pause, whom = event.data, str(event.meta["assignee"])
            since = event.occurred_at.isoformat()
            tx.execute(
                "INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?, ?)",
                (event.run_id, pause["pause_id"], whom, pause.get("reason"), since),
            )
        elif event.type == "run.resumed":
            tx.execute(
                "DELETE FROM waiting WHERE run_id = ? AND pause_id = ?",
                (event.run_id, event.data["pause_id"]),
            )
        elif event.type in ENDS:
            tx.execute("DELETE FROM waiting WHERE run_id = ?", (event.run_id,))


def main(folder: Path) -> None:
    """Let two runs call a model, one of them wait for a person, and show both lists."""
    usage = {"input_tokens": 900, "output_tokens": 120}
    call = [
        NewEvent("call.started", {"call_id": "c1", "kind": "model", "name": "large"}),
        NewEvent("call.completed", {"call_id": "c1", "usage": usage}),
    ]
    pause = {"pause_id": "p1", "state": {}, "window_ms": None, "on_expiry": "park"}
    with (
        SyncEventStore.open(folder=folder) as store,
        open_database(folder / "own.db") as database,
        Projector(store, database, [*BUILT_IN, CostReport, WaitingOnWhom]) as projector,
    ):
        created = NewEvent("run.created", {}, workflow_id="refund")
        store.append("refund-1", [created, *call])
        asked = NewEvent("run.paused", {**pause, "reason": "sign"}, meta={"assignee": "ann"})
        store.append("refund-2", [created, *call, asked])
        projector.run_to_end()
        with database.snapshot() as tx:
            for workflow_id, name, calls, _, output in tx.execute("SELECT * FROM cost_report"):
                print(f"{workflow_id}: {calls} calls of {name}, {output} tokens written")
            for run_id, whom, reason in tx.execute("SELECT run_id, whom, reason FROM waiting"):
                print(f"{run_id} waits for {whom}: {reason}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
