"""How far each partition is archived, as the file says."""

from __future__ import annotations

from eventstore.archive.layout import SCHEMA
from eventstore.errors import StoreMismatch
from eventstore.events import Position
from eventstore.sqlite import Transaction


def load_reached(tx: Transaction, partitions: int) -> dict[int, Position]:
    """Give how far each partition is archived, as the file says.

    Raises ``StoreMismatch`` if that cannot be.
    """
    reached = {partition: Position(partition, 0, 0) for partition in range(partitions)}
    for row in tx.execute("SELECT partition_no, ms, n FROM positions"):
        at = Position(*row)
        if at.partition not in reached or not all(isinstance(number, int) for number in row):
            raise StoreMismatch(
                f"the archive says that it stands at {at}, which cannot be: it is damaged; "
                f"{SCHEMA.when_damaged}"
            )
        reached[at.partition] = at
    return reached
