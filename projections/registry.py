"""Which store feeds a database, and which projections it holds."""

from __future__ import annotations

from eventstore.errors import StoreMismatch
from eventstore.sqlite.schema import statements
from projections.database import Transaction
from projections.objects import objects_of, to_json
from projections.projection import Projection


def bind_store(tx: Transaction, identity: str) -> None:
    """Tie the database to the store that feeds it first.

    Raises ``StoreMismatch`` if it was another: their events must not mix.
    """
    found = tx.execute("SELECT value FROM meta WHERE name = 'store'")
    if not found:
        tx.execute("INSERT INTO meta (name, value) VALUES ('store', ?)", (identity,))
    elif found[0][0] != identity:
        raise StoreMismatch(
            f"this database was made from store {found[0][0]}, not from {identity}; "
            "use the store it belongs to, or give the path of a new database; should the server "
            "have lost its data, 'runstore archive put-back' gives it its events and its name back",
            expected=found[0][0],
            found=identity,
        )


def register(tx: Transaction, projection: Projection) -> None:
    """Make the tables of a projection that is new to the database."""
    if not tx.execute("SELECT 1 FROM projections WHERE name = ?", (projection.name,)):
        for statement in statements(projection.schema):
            tx.execute(statement)
        tx.execute(
            "INSERT INTO projections (name, version, objects) VALUES (?, ?, ?)",
            (projection.name, projection.version, to_json(objects_of(projection))),
        )
