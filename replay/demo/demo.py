"""Runs the demo: starts its processes, plays it through, checks what became of it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from eventstore import SyncEventStore
from eventstore.clock import monotonic, system_clock
from eventstore.server import EmbeddedServer
from projections import Database, open_database
from replay.demo.crew import Crew
from replay.demo.facts import Facts, check
from replay.demo.orders import PARKED, make_orders
from replay.demo.people import Accidents, Actor, Approver, Customers
from replay.demo.show.screen import Lines, Moving, Screen
from replay.demo.show.summary import show_summary
from replay.demo.show.telling import Note, tell
from replay.demo.view import View

DATABASE = "runs.db"
"""Where the command line looks for the read side of the namespace ``runs``."""
WORKERS = 3
RESTORERS = 2
PACE, QUICK_PACE = 1.5, 0.5
FRAME_S = 0.08
ENDS_WITHIN_S = 60.0


def run_demo(
    folder: Path | str = ".runstore",
    *,
    runs: int = 16,
    seed: int = 7,
    quick: bool = False,
    console: Console | None = None,
) -> Facts:
    """Play the demo on the embedded server of ``folder`` and give the facts.

    The same ``seed`` gives the same orders; ``quick`` makes all waiting shorter. Without a
    ``console`` nothing is shown. Raises as ``EventStore.open`` and ``open_database`` do.
    """
    folder = Path(folder)
    began_s = monotonic()
    demo = system_clock().isoformat(timespec="milliseconds")
    facts = Facts(str(folder), demo)
    pace = QUICK_PACE if quick else PACE
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedServer.join(folder))
        store = stack.enter_context(SyncEventStore.open(server.url, partitions=None))
        database = stack.enter_context(open_database(folder / DATABASE))
        crew = stack.enter_context(Crew(folder / "demo"))
        _start(crew, folder, database)
        customers = Customers(store, list(make_orders(runs, seed, pace)), pace)
        actors = (
            customers,
            Approver(store, customers, pace),
            Accidents(crew, "restorer-1"),
        )
        view = View(database, demo)
        with _screen(console, runs) as screen:
            _play(view, actors, customers, crew, screen)
        facts.killed, facts.differs = crew.killed, crew.lost()
        check(facts, store, database, customers.placed)
        view.refresh()
    facts.seconds = round(monotonic() - began_s, 3)
    if console:
        show_summary(console, facts, view, customers.placed)
    return facts


def _start(crew: Crew, folder: Path, database: Database) -> None:
    crew.start("projector", "replay.demo.processes.projector", folder, database.path)
    for number in range(1, WORKERS + 1):
        name = f"worker-{number}"
        crew.start(name, "replay.demo.processes.worker", folder, name)
    for number in range(1, RESTORERS + 1):
        crew.start(f"restorer-{number}", "replay.demo.processes.restorer", folder)


def _screen(console: Console | None, runs: int) -> Screen:
    if console is None:
        return Screen()
    if not console.is_terminal or console.is_dumb_terminal:
        return Lines(console)
    crew = f"{WORKERS} workers · {RESTORERS} restorers · 1 projector"
    return Moving(console, f"runstore demo · {runs} orders · {crew}")


def _play(
    view: View, actors: Iterable[Actor], customers: Customers, crew: Crew, screen: Screen
) -> None:
    """Go on until every run is where it should end, a process is lost, or time is up."""
    ends_at_s = monotonic() + ENDS_WITHIN_S
    while monotonic() < ends_at_s and not crew.lost():
        for entry in view.refresh():
            if note := tell(entry, customers.placed[entry.run_id]):
                screen.note(note)
        for actor in actors:
            for text in actor.act(view):
                screen.note(Note(text, "bold red" if "KILLED" in text else ""))
        screen.show(view)
        if customers.done and _at_rest(view, customers):
            return
        time.sleep(FRAME_S)


def _at_rest(view: View, customers: Customers) -> bool:
    """Say whether every run ended, or is parked for good."""
    for run_id, order in customers.placed.items():
        seen = view.seen.get(run_id)
        if seen is None:
            return False
        parked = order.story is PARKED and seen.has("run.window_expired")
        if not seen.run.ended_at and not parked:
            return False
    return True
