"""Sentinel: the store asks who the primary is, and goes on after a failover."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from conftest import Launch, Opener, launching
from faults import MissingError, eventually
from samples import noted
from servers import Server
from test_crashes import Writers, stored

from eventstore import EventStore, Settings, StoreUnavailable

SERVICE = "main"


class Sentinel(Server):
    """The watcher of one primary and its replicas: the server program in another mode."""

    def watch(self, primary: Server) -> Self:
        """Start it, with a failover after half a second of silence."""
        self.options = {
            f"sentinel monitor {SERVICE} 127.0.0.1": f"{primary.port} 1",
            f"sentinel down-after-milliseconds {SERVICE}": "500",
            f"sentinel failover-timeout {SERVICE}": "3000",
        }
        return self.start()

    def _configure(self) -> Path:
        configuration = self.folder / "conf"
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {self.folder}"]
        lines += [f"{name} {value}" for name, value in self.options.items()]
        configuration.write_text("\n".join(lines) + "\nsentinel resolve-hostnames no\n")
        return configuration

    def _command(self) -> list[str]:
        return [*super()._command(), "--sentinel"]

    @property
    def primary_port(self) -> int:
        """Where the primary is now."""
        return int(self.admin.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])
