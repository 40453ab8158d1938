"""The SQLite file of the read side: opening, migrating, one writer, many readers."""

from projections.database.database import Database, Transaction, open_database

__all__ = ["Database", "Transaction", "open_database"]
