"""What is stored is not what was written."""

from __future__ import annotations

from eventstore.errors.base import RunStoreError


class HistoryGap(RunStoreError):
    """Events that must exist are missing: a reader asked for ``expected`` and found ``found``."""

    def __init__(self, where: str, expected: object, found: object) -> None:
        super().__init__(
            f"{where}: expected {expected}, found {found}; events are missing here, also in the "
            "archive if one was named (archive=, --archive, RUNSTORE_ARCHIVE): 'runstore doctor' "
            "and 'runstore archive lost' tell more",
            where=where,
            expected=str(expected),
            found=str(found),
        )


class LogRegressed(RunStoreError):
    """The log ends before a place that was already read or written: its server lost writes."""

    def __init__(self, where: str, known: object, found: object) -> None:
        super().__init__(
            f"{where}: the log was known up to {known}, and there is {found} now; the server lost "
            "acknowledged writes (emptied, put back from an old copy, or a replica that lagged "
            "took over): 'runstore archive lost' lists what the archive still holds of them, "
            "'runstore archive put-back' puts it back",
            where=where,
            known=str(known),
            found=str(found),
        )


class CorruptEvent(RunStoreError):
    """Stored bytes fail their checksum or are no event: they changed after they were written."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"corrupt event at {where}: {reason}", where=where, reason=reason)
