"""What is wrong with the archive: for ``doctor``."""

from __future__ import annotations

from collections.abc import Mapping

from eventstore import LogRegressed, Position, RunStoreError
from eventstore.archive import Archive, ArchiveStatus, archive_status
from eventstore.clock import from_ms
from replay.cli.server_check import Facts
from replay.cli.session import CannotDo, Session


def examine_archive(
    session: Session, tails: Mapping[int, Position] | None, store: Facts
) -> tuple[Facts, list[str], list[str]]:
    """Give what is seen of the archive, what is to be put right, and what may be next."""
    try:
        path = session.archive_path
        if not path.exists():
            return {"path": str(path), "exists": False}, [], []
        with Archive.look(path) as archive:
            found = archive_status(archive, tails)
    except CannotDo:
        return {}, [], []  # none was named
    except RunStoreError as refused:
        return {"path": str(path), "exists": True}, [str(refused)], []
    wrong = [] if not found.message else [f"archiving stopped: {found.message}"]
    if found.saying:
        wrong.append(f"the archiver is {found.saying}")
    if tails is not None:
        wrong += _against(found, tails, store)
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


def _against(found: ArchiveStatus, tails: Mapping[int, Position], store: Facts) -> list[str]:
    """Compare with the store: another one, or one that lost what is archived."""
    if found.store_id != store.get("id"):
        other = f"archive {found.path} belongs to another store"
        return [f"{other}; if this server lost its data, see 'runstore archive lost'"]
    lost = [
        str(LogRegressed(f"partition {p}", at, tails[p]))
        for p, at in found.positions.items()
        if p in tails and tails[p] < at
    ]
    return lost + (["'runstore archive lost' lists what the server lost"] if lost else [])
