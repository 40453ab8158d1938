"""Which pauses of a file are over by its end: their windows need no timer.

A pause of long ago whose resume is also in the file must not expire between the two. So the file
is read once ahead of the import, and only line numbers are kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import orjson

from eventstore.errors import ImportFailed
from eventstore.events import ENDS
from replay.transfer.event_file import EventFile
from replay.transfer.histories import Line

Turn = tuple[int, str, str, str | None]
"""A line that may bear on pauses: its number, run id, type and pause id."""

_WINDOWS = ("run.paused", "run.window_extended")
_ABOUT_A_PAUSE = frozenset({*_WINDOWS, "run.resumed", "run.window_expired"})


def ended_pauses(turns: Iterable[Turn]) -> set[int]:
    """Give the numbers of the lines with a window that a later line makes pointless."""
    waiting: defaultdict[str, dict[str, int]] = defaultdict(dict)
    ended: set[int] = set()
    for number, run_id, kind, pause_id in turns:
        if kind in ENDS:
            ended.update(waiting.pop(run_id, {}).values())
        elif kind in _ABOUT_A_PAUSE and pause_id is not None:
            before = waiting[run_id].pop(pause_id, None)
            if before is not None:
                ended.add(before)
            if kind in _WINDOWS:
                waiting[run_id][pause_id] = number
    return ended


def turns_of(lines: Iterable[Line]) -> Iterator[Turn]:
    """Give what good lines say about pauses."""
    for line in lines:
        yield line.number, line.run_id, line.event.type, line.event.data.get("pause_id")


def quick_turns(file: EventFile) -> Iterator[Turn]:
    """Give what a file's lines say about pauses, unchecked: for where a bad line ends the import.

    Lines that cannot be read are left out.
    """
    try:
        for number, raw in file.lines():
            if isinstance(raw, bytes) and (b"run." in raw or b"\\u" in raw):
                yield from _turn(number, raw)
    except ImportFailed:  # the file is cut off; the import itself says so
        return


def _turn(number: int, raw: bytes) -> Iterator[Turn]:
    try:
        fields = orjson.loads(raw)
        texts = fields["run_id"], fields["type"], fields.get("data", {}).get("pause_id", "")
    except (ValueError, LookupError, TypeError, AttributeError):
        return
    if all(isinstance(text, str) for text in texts):
        yield number, *texts
