"""A projection as a user writes one, and the orders that feed it."""

from __future__ import annotations

from typing import ClassVar

from histories import EPOCH, placed, record

from eventstore.events import NewEvent, RecordedEvent
from projections import (
    Database,
    Projection,
    Transaction,
)


class Shipments(Projection):
    """A projection as a user writes one: how much was shipped to whom."""

    name: ClassVar[str] = "shipments"
    version: ClassVar[int] = 1
    schema: ClassVar[str] = """
        CREATE TABLE shipments (customer TEXT PRIMARY KEY, amount INTEGER NOT NULL);
        CREATE INDEX shipments_by_amount ON shipments (amount);
    """

    def apply(self, tx: Transaction, event: RecordedEvent) -> None:
        if event.type == "order.shipped":
            tx.execute(
                "INSERT INTO shipments VALUES (?, ?) "
                "ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
                (event.data["customer"], event.data["amount"]),
            )


def shipments(database: Database) -> dict[str, int]:
    with database.snapshot() as tx:
        return dict(tx.execute("SELECT customer, amount FROM shipments"))


def shipped(customer: str, amount: int) -> NewEvent:
    data = {"customer": customer, "amount": amount}
    return NewEvent("order.shipped", data, occurred_at=EPOCH)


def orders(*runs: str, each: int = 3) -> list[RecordedEvent]:
    """Give the log of runs that each ship 1 to customer a, again and again."""
    log = [event for run in runs for event in record(run, [shipped("a", 1)] * each)]
    return placed(log, partitions=2)
