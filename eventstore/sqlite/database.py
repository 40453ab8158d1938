"""A SQLite file: one writer, many readers."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, LifoQueue
from types import TracebackType
from typing import Any, Self

from eventstore.errors import InvalidArgument, ServerRefused, StoreMismatch, StoreUnavailable
from eventstore.sqlite.connections import FileId, begin, file_id, open_reader, open_writer
from eventstore.sqlite.errors import translated
from eventstore.sqlite.schema import Schema

DEFAULT_BUSY_TIMEOUT_MS = 5_000
DEFAULT_MAX_READERS = 8


class Transaction:
    """One transaction, as its users see it: statements, and no way to end it."""

    __slots__ = ("_connection", "_path", "_schema")

    def __init__(self, connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
        self._connection = connection
        self._path = path
        self._schema = schema

    @property
    def is_open(self) -> bool:
        """Whether it goes on; SQLite may have rolled it back by itself."""
        return self._connection.in_transaction

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Run one statement and give all its rows, as tuples."""
        with translated(self._path, self._schema):
            return self._connection.execute(sql, parameters).fetchall()

    def each(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
        """Run one statement and give its rows one by one, however many they are."""
        with translated(self._path, self._schema):
            yield from self._connection.execute(sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement once for each row of parameters."""
        with translated(self._path, self._schema):
            self._connection.executemany(sql, rows)


class Database:
    """An open file of a schema. Any thread may use it.

    Writing goes through one connection, one transaction at a time; reading through up to
    ``max_readers`` others, which see the last commit and never wait for the writer.
    """

    def __init__(
        self,
        path: Path,
        schema: Schema,
        *,
        read_only: bool,
        busy_timeout_ms: int = DEFAULT_BUSY_TIMEOUT_MS,
        max_readers: int = DEFAULT_MAX_READERS,
    ) -> None:
        self.path = path
        self._schema = schema
        self.read_only = read_only
        self._busy_timeout_ms = busy_timeout_ms
        self._writing = threading.Lock()
        self._writer = None if read_only else open_writer(path, schema, busy_timeout_ms)
        self._file = file_id(path)
        self._beside = self._files_beside()
        self._reader_files: dict[sqlite3.Connection, FileId] = {}
        self._closed = False
        self.on_other_file: Callable[[Transaction], object] | None = None
        """Is shown another file that took the place of the one that was opened: it may refuse."""
        # A place for each reader; None stands for one that is not connected yet.
        self._readers: LifoQueue[sqlite3.Connection | None] = LifoQueue()
        for _ in range(max_readers - 1):
            self._readers.put(None)
        self._readers.put(self._connect_reader() if read_only else None)

    @contextmanager
    def transaction(self, *, patience_ms: int = 0) -> Iterator[Transaction]:
        """Write: commit when the block ends, roll back when it raises.

        Raises ``ServerRefused`` when the disk is full or the database was opened to be read
        only, ``StoreUnavailable`` when another process goes on writing for longer than
        ``busy_timeout_ms``, or ``patience_ms`` if that is more, ``StoreMismatch`` when another
        file has taken the place of the one that was opened, ``InvalidArgument`` after ``close``.
        """
        with self._writing:
            writer = self._open_writer()
            begin(writer, self.path, self._schema, patience_ms)
            try:
                yield Transaction(writer, self.path, self._schema)
                with translated(self.path, self._schema):
                    writer.execute("COMMIT")
            except BaseException:
                if writer.in_transaction:  # on a full disk SQLite has rolled back by itself
                    writer.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """Read: all statements of the block see one and the same commit.

        Raises ``StoreUnavailable`` when every reader stays in use for longer than
        ``busy_timeout_ms``, ``InvalidArgument`` after ``close``.
        """
        reader = self._take_reader()
        try:
            with translated(self.path, self._schema):
                reader.execute("BEGIN")
            yield Transaction(reader, self.path, self._schema)
        finally:
            if reader.in_transaction:
                reader.execute("ROLLBACK")
            self._give_back(reader)

    def settle(self, *, patience_ms: int = 100) -> bool:
        """Put everything into the one file, and empty what is beside it.

        Gives False if readers at work, or another writer, hindered it for so long. Raises as
        ``transaction`` does.
        """
        with self._writing, translated(self.path, self._schema):
            writer = self._open_writer()
            writer.execute(f"PRAGMA busy_timeout = {patience_ms}")
            try:
                return not writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                writer.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms}")

    def rewrite(self) -> None:
        """Write the whole file anew, without what its unused parts still show of earlier content.

        It needs room for the file twice more. Others can read meanwhile, and not write. Raises
        as ``transaction`` does.
        """
        with self._writing, translated(self.path, self._schema):
            self._open_writer().execute("VACUUM")

    def close(self) -> None:
        """Close after the current write; a reader still in use closes when it is done."""
        with self._writing:
            self._closed = True
            self._close_readers()
            if self._writer:
                self._writer.close()  # last: it puts everything into the one file

    def _close_readers(self) -> None:
        while True:
            try:
                reader = self._readers.get_nowait()
            except Empty:
                return
            if reader:
                self._close_reader(reader)

    def _open_writer(self) -> sqlite3.Connection:
        if self._closed:
            raise InvalidArgument(f"{self._schema.kind} {self.path} is closed; open it again")
        if self._writer is None:
            raise ServerRefused(f"{self._schema.kind} {self.path} was opened to be read only")
        if file_id(self.path) != self._file:
            raise StoreMismatch(
                f"another file has taken the place of {self._schema.kind} {self.path} while it was "
                "open; open it again",
                path=str(self.path),
            )
        if self._files_beside() != self._beside:  # whoever opens it next would not see our locks
            raise StoreMismatch(
                f"the files beside {self._schema.kind} {self.path} were removed while it was open; "
                "stop all that use it, and start them again",
                path=str(self.path),
            )
        return self._writer

    def _files_beside(self) -> list[FileId]:
        """Tell the log of the file and what its users share from others in their places."""
        return [file_id(self.path.with_name(self.path.name + end)) for end in ("-wal", "-shm")]

    def _take_reader(self) -> sqlite3.Connection:
        if self._closed:
            raise InvalidArgument(f"{self._schema.kind} {self.path} is closed; open it again")
        try:
            reader = self._readers.get(timeout=self._busy_timeout_ms / 1_000)
        except Empty:
            raise StoreUnavailable(
                f"all readers of {self.path} stay in use; raise max_readers"
            ) from None
        try:
            if reader and self._reader_files[reader] == file_id(self.path):
                return reader
            if reader:  # another file has taken the place of its own: it would see the past
                self._close_reader(reader)
            return self._connect_reader()
        except BaseException:
            self._readers.put(None)
            raise

    def _connect_reader(self) -> sqlite3.Connection:
        file = file_id(self.path)
        reader = open_reader(self.path, self._schema, self._busy_timeout_ms)
        try:
            if file != self._file and self.on_other_file:
                self.on_other_file(Transaction(reader, self.path, self._schema))
        except BaseException:
            reader.close()
            raise
        self._reader_files[reader] = file
        return reader

    def _close_reader(self, reader: sqlite3.Connection) -> None:
        del self._reader_files[reader]
        reader.close()

    def _give_back(self, reader: sqlite3.Connection) -> None:
        self._readers.put(reader)
        if self._closed:
            self._close_readers()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Database({str(self.path)!r}{', read_only=True' if self.read_only else ''})"
