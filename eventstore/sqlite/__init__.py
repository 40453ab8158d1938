"""SQLite files of ours: opening, migrating, one writer, many readers."""

from eventstore.sqlite.database import Database, Transaction
from eventstore.sqlite.schema import LAYOUT, Schema

__all__ = ["LAYOUT", "Database", "Schema", "Transaction"]
