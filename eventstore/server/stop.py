"""Stopping a server with its data saved."""

from __future__ import annotations

from contextlib import closing, suppress

from eventstore.errors import ServerRefused, StoreUnavailable
from eventstore.server.home import ServerHome
from eventstore.server.locks import Deadline, is_locked
from eventstore.server.probe import Line


def shut_down(home: ServerHome, deadline: Deadline) -> None:
    """Stop the folder's server and wait for its end; nothing to do when none lives.

    Raises ``StoreUnavailable`` when it still runs after the deadline. It is never killed: what it
    has not written yet would be lost.
    """
    with suppress(OSError), closing(Line(home.socket, deadline.left_s())) as line:
        hang_up(line, deadline)  # no connection: it is dead already, or does not answer
    if not deadline.wait_for(lambda: not is_locked(home.server_lock)):
        raise StoreUnavailable(f"it still ran after {deadline.timeout_ms} ms")


def hang_up(line: Line, deadline: Deadline) -> None:
    """Ask the server at the other end to stop, until it does: it goes without a reply."""
    while True:
        try:
            line.ask("SHUTDOWN", deadline.left_s())
        except ConnectionError:
            return
        except ServerRefused as refusal:  # it has to finish something first
            if not deadline.pause():
                raise StoreUnavailable(f"it refused to stop: {refusal}") from refusal
