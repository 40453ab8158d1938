"""Looks at everything without changing or starting any of it: what ``doctor`` tells."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from eventstore import (
    InvalidArgument,
    LogRegressed,
    RunStoreError,
    Settings,
    StoreUnavailable,
)
from eventstore.clock import from_ms
from eventstore.commands import Command, server_time, tail
from eventstore.keys import LAYOUT_VERSION, Keys
from eventstore.server import find_binary, status
from eventstore.transport.failures import ConnectionLost
from eventstore.transport.lines import BlockingLine
from eventstore.transport.target import Target, parse_target
from projections import Database, open_database, projection_status, projector_status
from projections.stops import Stop
from replay.cli.archive_check import examine_archive
from replay.cli.group_check import examine_groups
from replay.cli.log_check import SeenLog
from replay.cli.server_check import Facts, ask, examine_server
from replay.cli.session import CannotDo, Session

ROWS_OF_LOST = (
    "the database holds rows of events that the log has lost: put those back, or make the rows of "
    "the log as it is: runstore project rebuild"
)
MAX_READ_BYTES = 2 << 30
"""A larger database is not read through."""


@dataclass(slots=True)
class Checkup:
    """What was seen, part by part, and what follows from it.

    ``wrong`` is to be put right; ``unknown`` could not be seen; ``hints`` say what may be next.
    """

    server: Facts = field(default_factory=dict)
    store: Facts = field(default_factory=dict)
    database: Facts = field(default_factory=dict)
    archive: Facts = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """1 if something is wrong, 2 if something could not be seen, else 0."""
        return 1 if self.wrong else 2 if self.unknown else 0


def examine(session: Session) -> Checkup:
    """Look at everything that the options name. Raises ``InvalidArgument`` for a bad URL."""
    found = Checkup()
    with ExitStack() as lines:
        log: SeenLog | None = None
        try:
            url = session.url or _running_server(session, found)
            if url is not None:
                log = _examine_target(parse_target(url), session, found, lines)
        except InvalidArgument:
            raise
        except StoreUnavailable as unseen:
            found.unknown.append(str(unseen))
        except RunStoreError as refused:
            found.wrong.append(str(refused))
        _examine_database(session, log, found)
        found.archive, wrong, hints = examine_archive(session, log, found.store)
    found.wrong += wrong
    found.hints += hints
    return found


def _running_server(session: Session, found: Checkup) -> str | None:
    """Give the URL of the folder's own server, if it runs."""
    seen = status(session.folder)
    found.server = {"kind": "embedded", "folder": str(session.folder.resolve())}
    if seen is None or seen.state == "stopped":
        found.server["state"] = "nothing here yet" if seen is None else "stopped"
        next_step = "'runstore demo' or 'runstore import FILE' makes a store"
        found.hints.append(next_step if seen is None else "the server starts when it is needed")
        _would_start(found)
        return None
    found.server |= {"state": seen.state, "pid": seen.pid, "log": str(seen.log_path)}
    if seen.binary:
        found.server |= {"binary": str(seen.binary.path), "source": seen.binary.source}
    if not seen.running:
        found.unknown.append(f"the server is {seen.state}: {seen.detail}; see {seen.log_path}")
        return None
    return seen.url


def _would_start(found: Checkup) -> None:
    try:
        binary = find_binary()
    except StoreUnavailable as missing:
        found.wrong.append(str(missing))
    else:
        found.server |= {"would_start": str(binary.path), "source": binary.source}


def _examine_target(
    target: Target, session: Session, found: Checkup, lines: ExitStack
) -> SeenLog | None:
    found.server["url"] = target.shown
    line = lines.enter_context(closing(BlockingLine(target, Settings.from_environment())))
    try:
        facts, wrong = examine_server(line)
        found.server |= facts
        found.wrong += wrong
        return _examine_store(line, session, found)
    except ConnectionLost as lost:
        found.unknown.append(f"no server answers at {target.shown} ({lost.cause})")
        return None


def _examine_store(line: BlockingLine, session: Session, found: Checkup) -> SeenLog | None:
    namespace = session.namespace
    meta = Keys(namespace, 1).meta
    names = ("partitions", "layout", "id", "created_ms")
    partitions, layout, identity, created_ms = ask(
        line, Command(("HMGET", meta, *names), lambda reply: [v and v.decode() for v in reply])
    )
    found.store = {"namespace": namespace, "exists": partitions is not None}
    if partitions is None:
        found.hints.append(f"there is no store named {namespace!r} on this server yet")
        return None
    found.store |= {"id": identity, "partitions": int(partitions), "layout": int(layout)}
    found.store["created_at"] = from_ms(int(created_ms))
    if int(layout) != LAYOUT_VERSION:
        found.wrong.append(f"its layout is {layout}, this version reads {LAYOUT_VERSION}")
    if session.partitions not in (None, int(partitions)):
        found.wrong.append(f"it has {partitions} partitions, not {session.partitions}")
    return _examine_log(line, Keys(namespace, int(partitions)), found)


def _examine_log(line: BlockingLine, keys: Keys, found: Checkup) -> SeenLog:
    partitions, now_ms = range(keys.partitions), ask(line, server_time())
    tails = {p: ask(line, tail(keys, p)) for p in partitions}
    due = sum(ask(line, Command(("ZCOUNT", keys.due(p), "-inf", now_ms), int)) for p in partitions)
    found.store |= {"events": sum(place.n for place in tails.values()), "due_timers": due}
    if due:
        found.hints.append(f"{due:,} timers are due: runstore restore")
    found.store["groups"], wrong, hints = examine_groups(line, keys)
    found.wrong += wrong
    found.hints += hints
    return SeenLog(line, keys, tails)


def _examine_database(session: Session, log: SeenLog | None, found: Checkup) -> None:
    try:
        path = session.database_path
        found.database = {"path": str(path), "exists": path.exists()}
        if not path.exists():
            found.hints.append("nothing is projected yet: runstore project run --to-end")
            return
        with open_database(path, read_only=True) as database:
            _examine_rows(database, log, found)
            _examine_pages(database, found)
    except CannotDo as unnamed:
        found.hints.append(unnamed.message)
    except RunStoreError as refused:
        found.wrong.append(str(refused))


def _examine_pages(database: Database, found: Checkup) -> None:
    """Read the whole file, where that takes seconds: a query notices damage only on its way."""
    if database.path.stat().st_size > MAX_READ_BYTES:
        found.hints.append("the database is too large to be read through: runstore project verify")
        return
    with database.snapshot() as tx:
        problems = [text for (text,) in tx.execute("PRAGMA quick_check(1)") if text != "ok"]
    if problems:
        found.wrong.append(
            f"the database is damaged ({problems[0]}): 'runstore project rebuild --damaged' sets "
            "it aside and makes it anew"
        )


def _examine_rows(database: Database, log: SeenLog | None, found: Checkup) -> None:
    wal = database.path.with_name(database.path.name + "-wal")
    with database.snapshot() as tx:
        (schema,) = tx.execute("PRAGMA user_version")[0]
        identity = [value for (value,) in tx.execute("SELECT value FROM meta WHERE name = 'store'")]
    projections = projection_status(database, log.tails if log else None)
    lags = [one.lag_events for one in projections if one.lag_events is not None]
    found.database |= {
        "schema": schema,
        "size_bytes": sum(file.stat().st_size for file in (database.path, wal) if file.exists()),
        "events": min((one.events for one in projections), default=0),
        "behind_events": max(lags, default=None),
    }
    if log is None:
        return
    if identity and identity != [found.store["id"]]:
        found.wrong.append(
            f"the database was made from store {identity[0]}, this one is {found.store['id']}; "
            "give the path of another database"
        )
        return
    lost = log.lost(place for one in projections for place in one.positions.values())
    if lost:
        found.wrong += [*lost, ROWS_OF_LOST]
    _examine_stop(projector_status(database).stop, found, is_past=not lost)
    if max(lags, default=0) > 0:
        found.hints.append(f"{max(lags):,} events are not projected: runstore project run --to-end")


def _examine_stop(stop: Stop | None, found: Checkup, *, is_past: bool) -> None:
    """Tell why the projector stopped; one that missed what is there again can go on."""
    if stop is None:
        return
    if is_past and stop.error == LogRegressed.__name__:
        found.hints.append("the projector stopped, and can go on by now: runstore project run")
    else:
        found.wrong.append(f"the projector stopped, {stop.error}: {stop.message}")
