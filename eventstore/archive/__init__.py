"""The archive: a SQLite file that keeps every event for good, fed from the log."""

from eventstore.archive.archive import Archive, ArchivedRun, ColdRun
from eventstore.archive.archiver import Archiver
from eventstore.archive.seal_key import parse_seal_key, seal_key_from_environment
from eventstore.archive.status import ArchiveStatus, archive_status
from eventstore.archive.verification import Verification, verify

__all__ = [
    "Archive",
    "ArchiveStatus",
    "ArchivedRun",
    "Archiver",
    "ColdRun",
    "Verification",
    "archive_status",
    "parse_seal_key",
    "seal_key_from_environment",
    "verify",
]
