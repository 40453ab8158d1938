"""SQLite files of ours: opening, migrating, one writer, many readers."""

from eventstore.sqlite.database import Database, Transaction
from eventstore.sqlite.schema import Schema

__all__ = ["Database", "Schema", "Transaction"]
