"""What a server must be to hold a store, and what it says of itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from eventstore.commands import Command
from eventstore.errors import RunStoreError, ServerRefused
from eventstore.plan import Plan
from eventstore.settings import Settings
from eventstore.transport.durability import Durability, disk_refusal, waits_for_disk

OLDEST_REDIS = (6, 2)
OLDEST_VALKEY = (7, 2)

Info = dict[str, str]


@dataclass(frozen=True, slots=True)
class ServerVersion:
    """What a server calls itself."""

    name: str
    numbers: tuple[int, ...]

    @classmethod
    def of(cls, info: Info) -> ServerVersion:
        """Read it from INFO; Valkey tells its own version beside the Redis one it matches."""
        valkey = info.get("valkey_version")
        text = valkey or info.get("redis_version", "0")
        numbers = tuple(int(part) for part in re.findall(r"\d+", text)[:3])
        return cls("Valkey" if valkey else "Redis", numbers)

    def __str__(self) -> str:
        return f"{self.name} {'.'.join(map(str, self.numbers))}"


def server_info() -> Command[Info]:
    """Ask the server about itself."""
    return Command(("INFO",), _parse_info)


def _parse_info(reply: bytes) -> Info:
    lines = reply.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def check_server(info: Info, *, allow_eviction: bool) -> None:
    """Raise ``ServerRefused`` for a server that is too old, clustered, or may drop keys."""
    version = ServerVersion.of(info)
    oldest = OLDEST_VALKEY if version.name == "Valkey" else OLDEST_REDIS
    if version.numbers < oldest:
        raise ServerRefused(
            f"the server is {version}; Redis {_dotted(OLDEST_REDIS)} or Valkey "
            f"{_dotted(OLDEST_VALKEY)} is the oldest that works: upgrade it",
            version=str(version),
        )
    if info.get("cluster_enabled") == "1":
        raise ServerRefused(
            "the server is a node of a Redis Cluster, which is not supported yet; "
            "use a single server or Sentinel"
        )
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and not allow_eviction:
        raise ServerRefused(
            f"the server's maxmemory-policy is {policy}, so it may drop history in silence; "
            "run CONFIG SET maxmemory-policy noeviction (or open with allow_eviction=True)",
            policy=policy,
        )


def disk_level(level: Durability, info: Info, settings: Settings) -> Plan[Durability]:
    """Find out how this server can promise its disk; raise ``ServerRefused`` if it cannot."""
    try:
        (config,) = yield [Command(("CONFIG", "GET", "append*"), _pairs)]
    except RunStoreError:
        config = {}
    only, fsync = config.get("appendonly", "unknown"), config.get("appendfsync", "unknown")
    if only == "yes" and fsync == "always":
        return level
    version = ServerVersion.of(info)
    if only == "yes" and waits_for_disk(version.numbers, valkey=version.name == "Valkey"):
        return level.with_disk_wait(settings.durability_timeout_ms)
    raise disk_refusal(f"appendonly {only}, appendfsync {fsync}")


def _pairs(reply: list[bytes]) -> dict[str, str]:
    words = [word.decode() for word in reply]
    return dict(zip(words[::2], words[1::2], strict=True))


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
