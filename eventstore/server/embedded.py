"""One server for all processes that share a folder: joining it starts it, the last one stops it."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

from eventstore.errors import InvalidArgument, RunStoreError, StoreUnavailable
from eventstore.server.binary import find_binary
from eventstore.server.home import ServerHome, usable
from eventstore.server.launch import launch
from eventstore.server.locks import (
    Deadline,
    holding,
    open_lock,
    take_lock,
    try_lock,
    unlock,
)
from eventstore.server.probe import Line, ServerStatus, look
from eventstore.server.stop import hang_up, shut_down

AppendFsync = Literal["everysec", "always"]
BUSY = "another process has been starting or stopping the embedded server all the time"
SPOKE = ("loading", "busy")  # states that the server told itself

logger = logging.getLogger("runstore.server")


class EmbeddedServer:
    """A membership in the server of one folder. Make it with ``join``, end it with ``leave``.

    The server runs while anyone is a member. A process that ends without ``leave`` leaves by
    itself, unless it is killed; a server whose members were all killed goes on, and the next
    member takes it over. A membership is not inherited by a forked child: it joins on its own.
    """

    def __init__(
        self,
        home: ServerHome,
        *,
        binary: Path | str | None,
        appendfsync: AppendFsync,
        start_timeout_ms: int,
        stop_timeout_ms: int,
    ) -> None:
        self._home = home
        self._binary = binary
        self._appendfsync = appendfsync
        self._start_timeout_ms = start_timeout_ms
        self._stop_timeout_ms = stop_timeout_ms
        self._joined_by = os.getpid()
        self._left = threading.Lock()  # taken once, never given back
        self._line: Line | None = None
        self._enter()
        atexit.register(self.leave)

    @classmethod
    def join(
        cls,
        folder: Path | str = ".runstore",
        *,
        binary: Path | str | None = None,
        appendfsync: AppendFsync = "everysec",
        start_timeout_ms: int = 10_000,
        stop_timeout_ms: int = 10_000,
    ) -> Self:
        """Use the server of a folder, starting it when none runs.

        ``binary`` names another server program than ``find_binary`` would find.
        ``appendfsync="always"`` also makes a server that already runs that strict.
        ``start_timeout_ms`` bounds all waiting here, ``stop_timeout_ms`` that of ``leave``.

        Raises ``StoreUnavailable`` when the folder cannot be used, no program is found or no
        server answers in time; ``ServerRefused``, with the end of the server's log, when it would
        not start; ``StoreMismatch`` when the program is too old for the folder's data.
        """
        if appendfsync not in get_args(AppendFsync):
            raise InvalidArgument(
                f"appendfsync must be 'everysec' or 'always', not {appendfsync!r}",
                appendfsync=appendfsync,
            )
        return cls(
            ServerHome.inside(folder),
            binary=binary,
            appendfsync=appendfsync,
            start_timeout_ms=start_timeout_ms,
            stop_timeout_ms=stop_timeout_ms,
        )

    @property
    def folder(self) -> Path:
        """The folder that is shared, as an absolute path."""
        return self._home.path.parent

    @property
    def socket_path(self) -> Path:
        """The socket that the server listens at."""
        return self._home.socket

    @property
    def url(self) -> str:
        """The address to connect to; it stays the same when the server is started again."""
        return self._url

    @property
    def pid(self) -> int:
        """The server's process, as of ``join`` or the last ``ensure_running``."""
        return self._pid

    @property
    def log_path(self) -> Path:
        """What the server reports."""
        return self._home.log

    def ensure_running(self) -> None:
        """Start the server again if it died under its members. Raises what ``join`` raises."""
        if self._left.locked():
            raise InvalidArgument("this membership has ended; join the folder again")
        deadline = Deadline.after(self._start_timeout_ms)
        with usable(self.folder), holding(self._home.start_lock, deadline, BUSY):
            self._connect(deadline)

    def leave(self) -> None:
        """End the membership; the last member stops the server, its data saved.

        May be called again. Never raises for a server that would not stop: that is logged, and
        the server goes on running with its data.
        """
        if not self._left.acquire(blocking=False):
            return
        atexit.unregister(self.leave)
        try:
            if os.getpid() == self._joined_by:  # a forked child has only a copy
                self._exit(Deadline.after(self._stop_timeout_ms))
        except (RunStoreError, OSError) as error:
            logger.warning("the embedded server of %s was not stopped: %s", self.folder, error)
        finally:
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()

    def __repr__(self) -> str:
        return f"<EmbeddedServer pid={self._pid} url={self._url!r}>"

    def _enter(self) -> None:
        """Count as a user and find or start the server, while nobody else joins or leaves."""
        deadline = Deadline.after(self._start_timeout_ms)
        with usable(self.folder):
            self._home.create()
            with holding(self._home.start_lock, deadline, BUSY):
                self._users = open_lock(self._home.users_lock)
                try:
                    take_lock(self._users, exclusive=False, deadline=deadline, busy=BUSY)
                    self._connect(deadline)
                except BaseException:
                    self._close()
                    raise

    def _connect(self, deadline: Deadline) -> None:
        seen = self._bring_up(deadline)
        line = Line(self._home.socket, deadline.left_s())
        if self._line is not None:
            self._line.close()
        self._line = line
        self._url = seen.url
        self._pid = seen.pid or 0
        if self._appendfsync == "always":
            line.ask("CONFIG SET appendfsync always", deadline.left_s())

    def _bring_up(self, deadline: Deadline) -> ServerStatus:
        """Wait for the server to answer; start it, once, when none lives."""
        started = last = None
        while (seen := look(self._home, deadline.left_s())).state != "running":
            if last is None or last.state not in SPOKE or seen.state != "silent":
                last = seen  # a look that the deadline cut short says less than the one before
            if seen.state == "stopped":
                if started is not None:
                    raise started.failure()
                binary = find_binary(self._binary)
                started = launch(self._home, binary, self._appendfsync, deadline)
            elif not deadline.pause():
                raise _too_late(last, deadline.timeout_ms)
        return seen

    def _exit(self, deadline: Deadline) -> None:
        """Stop the server if nobody else uses it, while nobody can join.

        One at a time also because two who leave at once might each see the other's lock.
        """
        place = self._home.users_lock
        if not place.exists():
            # The folder was deleted under the server: only our open line still leads to it.
            if self._line and try_lock(self._users, exclusive=True):
                hang_up(self._line, deadline)
            return
        with holding(self._home.start_lock, deadline, BUSY):
            try:
                if try_lock(self._users, exclusive=True):
                    self._require_same_folder(place)
                    shut_down(self._home, deadline)
            finally:
                unlock(self._users)  # before anyone can join

    def _require_same_folder(self, place: Path) -> None:
        if not os.path.samestat(os.fstat(self._users), place.stat()):
            # A clean end would also remove the socket of the server that took the place.
            raise StoreUnavailable(
                f"its folder was replaced while it ran; stop process {self._pid} yourself"
            )

    def _close(self) -> None:
        if self._line is not None:
            self._line.close()
        os.close(self._users)


def _too_late(seen: ServerStatus, timeout_ms: int) -> StoreUnavailable:
    advice = {
        "loading": "it goes on by itself: try again, or allow more with start_timeout_ms",
        "busy": "try again when it is done",
        "silent": "it is stopped or busy: let it go on, or end that process, and try again",
        "unreachable": "if that lasts, end that process and try again",
    }
    process = f"process {seen.pid}" if seen.pid else "a process"
    return StoreUnavailable(
        f"the embedded server of {seen.folder} ({process}) was not ready within {timeout_ms} ms: "
        f"{seen.detail}; {advice[seen.state]}. Its log is {seen.log_path}",
        folder=str(seen.folder),
        state=seen.state,
        pid=seen.pid,
    )
