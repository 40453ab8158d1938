"""What is wrong with the archive: for ``doctor``."""

from __future__ import annotations

from eventstore import RunStoreError
from eventstore.archive import Archive, ArchiveStatus, archive_status
from eventstore.clock import from_ms
from replay.cli.log_check import SeenLog
from replay.cli.server_check import Facts
from replay.cli.session import CannotDo, Session

PUT_BACK = "'runstore archive lost' lists it and 'runstore archive put-back' puts it back"


def examine_archive(
    session: Session, log: SeenLog | None, store: Facts
) -> tuple[Facts, list[str], list[str]]:
    """Give what is seen of the archive, what is to be put right, and what may be next."""
    try:
        path = session.archive_path
        if not path.exists():
            return {"path": str(path), "exists": False}, [], []
        with Archive.look(path) as archive:
            found = archive_status(archive, log.tails if log else None)
    except CannotDo:
        return {}, [], []  # none was named
    except RunStoreError as refused:
        return {"path": str(path), "exists": True}, [str(refused)], []
    wrong = [] if not found.message else [f"archiving stopped: {found.message}"]
    if found.saying:
        wrong.append(f"the archiver is {found.saying}")
    wrong += _against(found, log, store)
    hints = []
    if found.behind:
        hints.append(f"{found.behind:,} events are not archived: runstore archive run")
    return _facts(found), wrong, hints


def _facts(found: ArchiveStatus) -> Facts:
    return {
        "path": str(found.path),
        "exists": True,
        "state": found.state,
        "events": found.events,
        "runs": found.runs,
        "behind_events": found.behind,
        "accepted_as_lost": found.lost_events,
        "size_bytes": found.size_bytes,
        "sealed_at": None if found.sealed_ms is None else from_ms(found.sealed_ms),
        "signed": found.is_signed,
        "archiver": found.archiver,
    }


def _against(found: ArchiveStatus, log: SeenLog | None, store: Facts) -> list[str]:
    """Compare with the store: another one, none at all, or one that lost what is archived."""
    if log is not None and found.store_id == store.get("id"):
        return log.lost(found.positions.values())
    if log is not None:
        other = f"archive {found.path} belongs to another store"
    elif store.get("exists", True) or not found.events:
        return []
    else:
        other = (
            f"archive {found.path} holds {found.events:,} events, and this server has no store "
            f"named {store['namespace']!r}"
        )
    return [f"{other}; if this server lost its data, {PUT_BACK}"]
