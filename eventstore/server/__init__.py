"""The embedded server: one real Redis or Valkey for all processes that share a folder."""

from eventstore.server.binary import ServerBinary, find_binary
from eventstore.server.embedded import EmbeddedServer
from eventstore.server.probe import ServerStatus, status

__all__ = ["EmbeddedServer", "ServerBinary", "ServerStatus", "find_binary", "status"]
