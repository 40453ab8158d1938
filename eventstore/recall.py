"""Looks for a retried append in the archive, when the run stream no longer holds what it must."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from eventstore.appends import AppendResult, PreparedAppend
from eventstore.commands import AppendOutcome
from eventstore.errors import IdempotencyConflict, OutcomeUnknown
from eventstore.plan import Recall

if TYPE_CHECKING:
    from eventstore.archive.archive import Archive


def is_archived(outcome: AppendOutcome) -> bool:
    """Say whether only the archive can tell what became of an append."""
    return isinstance(outcome, OutcomeUnknown) and outcome.begins is not None


def look_up(append: PreparedAppend, unknown: AppendOutcome) -> Recall:
    """Ask the archive whether an append stands.

    Gives its outcome, or the append to send again if it does not stand there. Without an archive
    that reaches far enough the outcome stays unknown.
    """

    def read(archive: Archive) -> AppendOutcome | PreparedAppend:
        # What is archived after this is not searched.
        head = archive.run_head(append.run_id)
        found = archive.find_append(append.run_id, append.append_id)
        if found is not None:
            return _known(append, found)
        begins = unknown.begins if isinstance(unknown, OutcomeUnknown) else None
        if head is None or begins is None or head.version + 1 < begins:
            return unknown
        return append._replace(reaches=head.version + 1)

    return Recall(read)


def _known(append: PreparedAppend, found: AppendResult) -> AppendOutcome:
    if found.last_version - found.first_version + 1 != append.event_count:
        return IdempotencyConflict(append.run_id, append.append_id, found.first_version)
    return replace(found, deduplicated=True)
