"""The SQLite file of the read side: opening, migrating, one writer, many readers."""

from eventstore.sqlite import Database, Transaction
from projections.database.database import SCHEMA, open_database

__all__ = ["SCHEMA", "Database", "Transaction", "open_database"]
