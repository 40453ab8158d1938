"""Opening a store: where it is, what it is called, and that it is the one expected."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from eventstore import commands
from eventstore.clock import monotonic
from eventstore.commands import Command, StoreFacts
from eventstore.decoding import Decoder
from eventstore.errors import InvalidArgument, StoreMismatch
from eventstore.events import Upcasters, check_namespace, new_id
from eventstore.keys import LAYOUT_VERSION, Keys
from eventstore.operations import Operations
from eventstore.plan import Plan
from eventstore.server import EmbeddedServer
from eventstore.settings import ARCHIVE_VARIABLE, URL_VARIABLE, Settings
from eventstore.transport.append_queue import AppendQueue
from eventstore.transport.durability import Durability
from eventstore.transport.requirements import check_server, disk_level, server_info
from eventstore.transport.shelf import Shelf
from eventstore.transport.target import Target, parse_target

DEFAULT_FOLDER = Path(".runstore")
DEFAULT_PARTITIONS = 16
MAX_PARTITIONS = 1024


@dataclass(frozen=True, slots=True)
class Opened:
    """A namespace that passed all checks."""

    facts: StoreFacts
    operations: Operations
    durability: Durability

    def queue(self, shown: str) -> AppendQueue:
        """Make the queue of its appends."""
        operations = self.operations
        return AppendQueue(operations.keys, operations.settings, self.durability, shown, monotonic)

    def shelf(self, path: Path | None) -> Shelf:
        """Make the place from which its readers take the archive."""
        operations = self.operations
        return Shelf(path, self.facts.store_id, operations.keys, operations.decoder)


@dataclass(frozen=True, slots=True)
class Opening:
    """How a store is to be opened; made once, the same for asyncio and threads."""

    url: str | None = field(repr=False)  # may hold a password
    namespace: str
    partitions: int | None
    archive: Path | None
    """The file that readers look into for what left Redis; it need not be there (yet)."""
    durability: str
    settings: Settings
    upcasters: Upcasters
    allow_eviction: bool
    folder: Path
    create: bool = True
    """Whether a namespace that is not there is made."""
    partitions_if_made: int | None = None
    """How many it then has, where ``partitions`` does not say it."""

    @classmethod
    def of(
        cls,
        url: str | None,
        *,
        namespace: str,
        partitions: int | None,
        archive: Path | str | None,
        durability: str,
        settings: Settings | None,
        upcasters: Upcasters | None,
        allow_eviction: bool,
        folder: Path | str | None,
        create: bool = True,
        partitions_if_made: int | None = None,
    ) -> Opening:
        """Check the arguments of ``open``. Raises ``InvalidArgument``."""
        if partitions is not None:
            _check_partitions(partitions)
        settings = settings or Settings.from_environment()
        Durability.parse(durability, settings.durability_timeout_ms)
        upcasters = upcasters or Upcasters()
        upcasters.check()
        url = url or os.environ.get(URL_VARIABLE) or None
        folder = Path(folder) if folder is not None else DEFAULT_FOLDER
        namespace = check_namespace(namespace)
        home = folder / f"{namespace}.archive.db" if url is None else None
        return cls(
            url=url,
            namespace=namespace,
            partitions=partitions,
            archive=_archive_path(archive) or home,
            durability=durability,
            settings=settings,
            upcasters=upcasters,
            allow_eviction=allow_eviction,
            folder=folder,
            create=create,
            partitions_if_made=partitions_if_made,
        )

    def join_embedded(self) -> EmbeddedServer:
        """Join the folder's server, starting it if need be."""
        return EmbeddedServer.join(
            self.folder, appendfsync="always" if self.durability == "fsync" else "everysec"
        )

    def target(self, embedded: EmbeddedServer | None) -> Target:
        """Give the server to talk to. Raises ``InvalidArgument`` for a bad URL."""
        return parse_target(embedded.url if embedded else self.url or "")

    @property
    def confirmation_ms(self) -> int:
        """How long the server may take to have an append confirmed."""
        return 0 if self.durability == "server" else self.settings.durability_timeout_ms

    def plan(self) -> Plan[Opened]:
        """Check the server, then create the namespace or check that it is the one expected.

        Raises ``ServerRefused`` for a server that cannot hold a store, ``StoreMismatch`` for a
        namespace that was created otherwise, and ``InvalidArgument`` for one that is not there
        and is not to be made.
        """
        level = Durability.parse(self.durability, self.settings.durability_timeout_ms)
        (info,) = yield [server_info()]
        check_server(info, allow_eviction=self.allow_eviction)
        if self.durability == "fsync":
            level = yield from disk_level(level, info, self.settings)
        partitions = self.partitions or self.partitions_if_made or DEFAULT_PARTITIONS
        asked = Keys(self.namespace, partitions)
        if not self.create:
            yield from self._check_there(asked)
        (facts,) = yield [commands.open_namespace(asked, new_id())]
        self._check(facts)
        keys = replace(asked, partitions=facts.partitions)
        operations = Operations(keys, Decoder(self.upcasters), self.settings, facts.store_id)
        return Opened(facts, operations, level)

    def _check_there(self, keys: Keys) -> Plan[None]:
        (is_there,) = yield [Command(("EXISTS", keys.meta), bool)]
        if not is_there:
            raise InvalidArgument(
                f"there is no store named {self.namespace!r} on this server: is it the right "
                "namespace and server? The first append makes one, as 'runstore import FILE' does; "
                "if the server lost it, see 'runstore archive lost'",
                namespace=self.namespace,
            )

    def _check(self, facts: StoreFacts) -> None:
        if facts.layout != LAYOUT_VERSION:
            raise StoreMismatch(
                f"namespace {self.namespace!r} has layout {facts.layout}, this version reads "
                f"{LAYOUT_VERSION}: use the version of runstore that wrote it",
                namespace=self.namespace,
            )
        if self.partitions not in (None, facts.partitions):
            raise StoreMismatch(
                f"namespace {self.namespace!r} was created with {facts.partitions} partitions, "
                f"not {self.partitions}: open it with partitions={facts.partitions}",
                namespace=self.namespace,
                expected=self.partitions,
                actual=facts.partitions,
            )


def _archive_path(given: object) -> Path | None:
    """Give the file that was named, by the argument or else by the variable."""
    given = os.environ.get(ARCHIVE_VARIABLE) or None if given is None else given
    if given is None:
        return None
    if not isinstance(given, (str, Path)) or not str(given):
        raise InvalidArgument(f"archive must be the path of a file, not {given!r}")
    if Path(given).is_dir():
        raise InvalidArgument(f"archive must be the path of a file; {given} is a folder")
    return Path(given)


def _check_partitions(count: object) -> None:
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MAX_PARTITIONS:
        raise InvalidArgument(f"partitions must be from 1 to {MAX_PARTITIONS}, not {count!r}")
