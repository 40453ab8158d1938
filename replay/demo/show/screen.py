"""What a demo shows while it runs: a moving picture on a terminal, lines elsewhere."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from eventstore.clock import Clock, system_clock
from replay.bars import QUIET
from replay.demo.show.lanes import Lanes
from replay.demo.show.telling import Note
from replay.demo.view import Seen, View

NOTES = 6
LINES_AROUND = 6
LEAST_SHOWN_MS = 6_000


class Screen:
    """Shows nothing; the others show more. Use it in a ``with`` statement."""

    def note(self, note: Note) -> None:
        """Tell what happened."""

    def show(self, view: View) -> None:
        """Show how the runs stand."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return


class Lines(Screen):
    """Prints each note as a line; for pipes and files."""

    def __init__(self, console: Console, clock: Clock = system_clock) -> None:
        self._console = console
        self._clock = clock
        self._began = clock()

    def note(self, note: Note) -> None:
        """Print it."""
        self._console.print(_line(note, self._began, self._clock()), soft_wrap=True)


class Moving(Screen):
    """Redraws the runs and the latest notes in place; for terminals."""

    def __init__(self, console: Console, title: str, clock: Clock = system_clock) -> None:
        self._console = console
        self._title = title
        self._clock = clock
        self._began = clock()
        self._notes: deque[Text] = deque(maxlen=NOTES)
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def note(self, note: Note) -> None:
        """Remember it for the next picture."""
        self._notes.append(_line(note, self._began, self._clock()))

    def show(self, view: View) -> None:
        """Draw the next picture."""
        now = self._clock()
        seconds = (now - self._began).total_seconds()
        title = Text.assemble((self._title, "bold"), (f"   {seconds:.1f} s", QUIET))
        room = max(1, self._console.height - NOTES - LINES_AROUND)
        lanes = Lanes(fitting(view, room), now, LEAST_SHOWN_MS)
        self._live.update(Group(title, "", lanes, "", *self._notes), refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()


def fitting(view: View, room: int) -> list[Seen]:
    """Choose the runs for so many lines: those that ended first give way."""
    runs = list(view.seen.values())
    ended = [seen for seen in runs if seen.run.ended_at]
    ended.sort(key=lambda seen: seen.last.occurred_at)
    gone = {seen.run.run_id for seen in ended[: max(0, len(runs) - room)]}
    return [seen for seen in runs if seen.run.run_id not in gone][:room]


def _line(note: Note, began: datetime, now: datetime) -> Text:
    seconds = (now - began).total_seconds()
    return Text.assemble((f"{seconds:6.1f} s  ", QUIET), (note.text, note.style), no_wrap=True)
