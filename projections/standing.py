"""Where each projection of a database stands: how far, whether it runs, and why not."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from eventstore.clock import Clock, system_clock, to_ms
from eventstore.errors import InvalidArgument
from eventstore.events import Position
from projections.database import Database, Transaction
from projections.failures import Failure

RUNNING, PAUSED, FAILED = "running", "paused", "failed"
MAX_CAUSE_CHARACTERS = 2_000

_PROJECTIONS = """
SELECT name, version, generation, revision, paused_ms, failed_ms FROM projections
"""
_POSITIONS = "SELECT projection, partition_no, ms, n FROM positions"


@dataclass(slots=True)
class Standing:
    """What a projector must know of a projection; it changes when others pause or rebuild it."""

    version: int
    generation: str | None
    revision: int
    state: str
    positions: dict[int, Position] = field(default_factory=dict)


def load_standings(tx: Transaction) -> dict[str, Standing]:
    """Read where every projection of the database stands."""
    standings = {
        name: Standing(version, generation, revision, _state(paused_ms, failed_ms))
        for name, version, generation, revision, paused_ms, failed_ms in tx.execute(_PROJECTIONS)
    }
    for name, partition, ms, n in tx.execute(_POSITIONS):
        if name in standings:
            standings[name].positions[partition] = Position(partition, ms, n)
    return standings


def pause(database: Database, name: str, cause: str = "", *, clock: Clock = system_clock) -> None:
    """Stop feeding a projection until ``resume``, also over restarts; the others go on.

    Works from any process; a projector that runs heeds it before its next batch. ``cause`` is
    shown by ``status``. Raises ``InvalidArgument`` for a projection that the database lacks.
    """
    if len(cause) > MAX_CAUSE_CHARACTERS:
        raise InvalidArgument(f"a cause has {MAX_CAUSE_CHARACTERS:,} characters at most")
    with database.transaction() as tx:
        check_known(tx, name)
        tx.execute(
            "UPDATE projections SET paused_ms = ?, paused_cause = ? WHERE name = ?",
            (to_ms(clock()), cause, name),
        )


def resume(database: Database, name: str) -> None:
    """Let a paused or failed projection go on where it stands.

    A failed one meets the event again that it could not take. Works from any process. Raises
    ``InvalidArgument`` for a projection that the database lacks.
    """
    with database.transaction() as tx:
        check_known(tx, name)
        clear_halts(tx, name)


def clear_halts(tx: Transaction, name: str) -> None:
    """Let a projection run, whatever held it."""
    tx.execute(
        "UPDATE projections SET paused_ms = NULL, paused_cause = NULL, failed_ms = NULL, "
        "failure = NULL WHERE name = ?",
        (name,),
    )


def check_known(tx: Transaction, name: str) -> None:
    """Raise ``InvalidArgument`` for a projection that the database lacks."""
    known = [found for (found,) in tx.execute("SELECT name FROM projections ORDER BY name")]
    if name not in known:
        listed = ", ".join(known) or "none yet"
        raise InvalidArgument(f"no projection {name!r} in this database (it has: {listed})")


def write_failure(tx: Transaction, name: str, failure: Failure, failed_ms: int) -> None:
    """Show a projection as failed, from this transaction on."""
    tx.execute(
        "UPDATE projections SET failed_ms = ?, failure = ? WHERE name = ?",
        (failed_ms, orjson.dumps(failure).decode(), name),
    )


def _state(paused_ms: int | None, failed_ms: int | None) -> str:
    if failed_ms is not None:
        return FAILED
    return RUNNING if paused_ms is None else PAUSED
