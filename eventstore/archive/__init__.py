"""The archive: a SQLite file that keeps every event for good, fed from the log."""

from eventstore.archive.archive import Archive, ArchivedRun, ColdRun

__all__ = ["Archive", "ArchivedRun", "ColdRun"]
