"""The server's own folder: where each of its files lies, and who may see them."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from eventstore.errors import StoreUnavailable

# sun_path holds 108 bytes on Linux and 104 on macOS, with a closing zero.
MAX_SOCKET_PATH_BYTES = 103
OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class ServerHome:
    """The folder ``server`` inside the store's folder."""

    path: Path

    @classmethod
    def inside(cls, folder: Path | str) -> ServerHome:
        """Give the server's home in a store's folder, by its real path. Makes nothing."""
        return cls(Path(folder).resolve() / "server")

    @property
    def start_lock(self) -> Path:
        """Held while a server is started, joined, left or stopped."""
        return self.path / "start.lock"

    @property
    def users_lock(self) -> Path:
        """Held shared by everyone who uses the server."""
        return self.path / "users.lock"

    @property
    def server_lock(self) -> Path:
        """Held by the server itself, from birth to death: the proof that it lives."""
        return self.path / "server.lock"

    @property
    def pid_file(self) -> Path:
        """Written by the server; it is shown to people and never acted upon."""
        return self.path / "server.pid"

    @property
    def log(self) -> Path:
        """What the server reports."""
        return self.path / "server.log"

    @property
    def socket(self) -> Path:
        """Where the server listens, or did last."""
        here = self.path / "server.sock"
        return here.readlink() if here.is_symlink() else here

    @property
    def url(self) -> str:
        """The address to connect to."""
        return "unix://" + quote(str(self.socket))

    def create(self) -> None:
        """Make the folder, or make an existing one private to its owner."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.mkdir(mode=0o700, exist_ok=True)
        if self.path.stat().st_mode & OTHERS:
            self.path.chmod(0o700)

    def place_socket(self) -> Path:
        """Choose where the next server listens and clear away what a dead one left there.

        A path too long for a socket becomes a link to a short one, so that all processes find the
        same place, whatever each takes for the folder of temporary files.
        """
        here = self.path / "server.sock"
        here.unlink(missing_ok=True)
        if len(os.fsencode(here)) <= MAX_SOCKET_PATH_BYTES:
            return here
        short = _short_socket(self.path)
        short.unlink(missing_ok=True)
        here.symlink_to(short)
        return short


@contextmanager
def usable(folder: Path | str) -> Iterator[None]:
    """Turn whatever the file system says about the folder into ``StoreUnavailable``."""
    try:
        yield
    except (ConnectionError, TimeoutError) as error:
        raise StoreUnavailable(
            f"the embedded server of {os.fspath(folder)!r} was gone again at once ({error}); "
            "try again, and see its log",
            folder=os.fspath(folder),
        ) from error
    except OSError as error:
        raise StoreUnavailable(
            f"the folder {os.fspath(folder)!r} cannot hold the embedded server: "
            f"{error.strerror or error} ({error.filename}); make it writable, choose another "
            "folder, or connect to a running server with a URL (RUNSTORE_REDIS_URL)",
            folder=os.fspath(folder),
        ) from error


def _short_socket(home: Path) -> Path:
    parent = Path(tempfile.gettempdir()).resolve() / f"runstore-{os.geteuid()}"
    parent.mkdir(mode=0o700, exist_ok=True)
    found = parent.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & OTHERS:
        # Anyone may create names in a shared folder; a socket of ours goes into none of theirs.
        raise StoreUnavailable(
            f"{parent} must be a folder that belongs to you alone (mode 700); "
            "remove it, or choose a folder with a shorter path",
            folder=str(parent),
        )
    # The inode is part of the name: a folder that was deleted and made again is another store.
    identity = f"{home}\n{home.stat().st_dev}\n{home.stat().st_ino}"
    short = parent / (hashlib.sha256(os.fsencode(identity)).hexdigest()[:16] + ".sock")
    if len(os.fsencode(short)) > MAX_SOCKET_PATH_BYTES:
        raise StoreUnavailable(
            f"both {home} and {parent} are too long to hold a socket "
            f"({MAX_SOCKET_PATH_BYTES} bytes); choose a folder with a shorter path",
            folder=str(home),
        )
    return short
