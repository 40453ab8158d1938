"""How ``runstore archive`` shows what it found."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from replay.cli.output import facts, note, table

if TYPE_CHECKING:
    from eventstore.archive import Archive, ArchiveStatus, Verification
    from eventstore.archive.recovery import Losses


def status_as_json(found: ArchiveStatus) -> dict[str, Any]:
    """Give a status as programs read it."""
    return asdict(found) | {
        "path": str(found.path),
        "positions": {p: str(at) for p, at in found.positions.items() if at.n},
    }


def print_status(found: ArchiveStatus) -> None:
    """Print a status."""
    facts(
        [
            ("archive", str(found.path)),
            ("namespace", found.namespace),
            ("state", _state(found)),
            ("since", _moment(found.since_ms)),
            ("events", found.events),
            ("runs", found.runs),
            ("behind", "?" if found.behind is None else found.behind),
            ("accepted as lost", found.lost_events or None),
            ("size", f"{found.size_bytes / 1_048_576:,.1f} MB"),
            ("last seal", found.last_seal),
            ("sealed", _moment(found.sealed_ms)),
            ("seals are", "signed" if found.is_signed else "unsigned"),
            ("archiver", found.archiver or "none runs"),
            ("it says", found.saying or None),
        ]
    )
    if found.message:
        note(f"stopped: {found.message}")


def _state(found: ArchiveStatus) -> str:
    """Say how it stands; that all is well with a file which nobody feeds would mislead."""
    if found.message or found.archiver:
        return found.state
    return "nobody archives: runstore archive run"


def verification_as_json(found: Verification) -> dict[str, Any]:
    """Give a verification as programs read it."""
    return asdict(found)


def print_verification(found: Verification) -> None:
    """Print what was checked, and each finding."""
    facts(
        [
            ("events", found.events),
            ("erased events", found.erased),
            ("runs", found.runs),
            ("seals", found.seals),
            ("last seal", found.last_seal),
            ("signatures", found.signatures),
            ("unsigned seals", found.unsigned_seals or None),
            ("compared with Redis", "no" if found.compared is None else found.compared),
            ("findings", found.finding_count),
        ]
    )
    if found.findings:
        click.echo()
        table(
            ("what", "run", "version", "position", "seal", "how it shows"),
            [
                (one.what, one.run_id, one.version, one.position, one.seal, one.detail)
                for one in found.findings
            ],
        )
    if found.finding_count > len(found.findings):
        note(f"{found.finding_count - len(found.findings):,} more findings are not shown")
    if found.signatures in ("key missing", "wrong key", "not signed"):
        note(f"signatures could not be checked: {found.signatures} (RUNSTORE_SEAL_KEY)")
    elif not found.finding_count:
        note("everything is as it was archived")


def losses_as_json(archive: Archive, losses: Losses, limit: int) -> dict[str, Any]:
    """Give the first lost events, and how many there are, as programs read them."""
    from eventstore.archive.recovery import lost_events  # noqa: PLC0415

    return {
        "items": [
            {
                "run_id": one.run_id,
                "version": one.version,
                "position": str(one.position),
                "type": one.type,
            }
            for one in islice(lost_events(archive, losses), limit)
        ],
        "next_cursor": None,
        "events": losses.events,
        "is_new_store": losses.is_new_store,
        "partitions": [
            {
                "partition": loss.partition,
                "events": loss.events,
                "kept": str(loss.kept),
                "archived": str(loss.archived),
                "tail": str(loss.tail),
                "is_replaced": loss.is_replaced,
            }
            for loss in losses.partitions
        ],
    }


def print_losses(archive: Archive, losses: Losses, limit: int) -> None:
    """Print the first lost events, and what can be done."""
    from eventstore.archive.recovery import lost_events  # noqa: PLC0415

    if not losses.events:
        note("nothing is lost")
        return
    table(
        ("run", "version", "type", "position"),
        [
            (one.run_id, one.version, one.type, str(one.position))
            for one in islice(lost_events(archive, losses), limit)
        ],
    )
    note(f"{losses.events:,} events are lost in {len(losses.partitions)} partitions")
    if losses.is_new_store:
        note("the namespace was made anew: it is not the one that was archived")
    if losses.replaced:
        places = ", ".join(str(loss.partition) for loss in losses.replaced)
        note(
            f"other events took their places in partition {places}: 'runstore archive accept' "
            "records that they are lost, and keeps them aside"
        )
    if len(losses.replaced) < len(losses.partitions):
        note("'runstore archive put-back' puts them back")


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1_000, UTC)
