"""What a server says about itself, and what is wrong with it."""

from __future__ import annotations

import statistics
import time
from typing import Any, TypeVar

from eventstore import ServerRefused
from eventstore.commands import Command
from eventstore.plan import Plan, Recall
from eventstore.transport.lines import BlockingLine
from eventstore.transport.requirements import Info, ServerVersion, check_server, server_info

ROUND_TRIPS = 20
MEMORY_IS_FULL = 0.9

Facts = dict[str, Any]
T = TypeVar("T")


def ask(line: BlockingLine, command: Command[Any]) -> Any:
    """Send one command and give what its reply means. Raises ``ServerRefused``."""
    (reply,) = line.exchange([command])
    if isinstance(reply, Exception):
        raise ServerRefused(f"the server refused {command.words[0]}: {reply}")
    return command.decode(reply)


def perform(line: BlockingLine, plan: Plan[T]) -> T:
    """Run a plan that only reads, on one line and without an archive. Raises as the plan does."""
    try:
        step = next(plan)
        while True:
            result: Any = None
            if not isinstance(step, Recall):
                result = [ask(line, command) for command in step]  # type: ignore[union-attr]
            step = plan.send(result)
    except StopIteration as finished:
        return finished.value  # type: ignore[no-any-return]


def examine_server(line: BlockingLine) -> tuple[Facts, list[str]]:
    """Give facts about a server, and what is to be put right."""
    info = ask(line, server_info())
    config = _config(line)
    append_only = info.get("aof_enabled") == "1"
    facts = {
        "version": str(ServerVersion.of(info)),
        "append_only_file": append_only,
        "fsync": config.get("appendfsync", "unknown") if append_only else None,
        "snapshots": config.get("save") or None,
        "memory_used_bytes": int(info.get("used_memory", 0)),
        "memory_max_bytes": int(info.get("maxmemory", 0)) or None,
        "eviction_policy": info.get("maxmemory_policy"),
        "clients": int(info.get("connected_clients", 0)),
        "uptime_seconds": int(info.get("uptime_in_seconds", 0)),
        "round_trip_ms": _round_trip_ms(line),
    }
    try:
        check_server(info, allow_eviction=False)
    except ServerRefused as refused:
        return facts, [str(refused), *_wrong_with(info)]
    return facts, _wrong_with(info)


def _wrong_with(info: Info) -> list[str]:
    most, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    append_only_off = (
        "the append-only file is off, so a restart may lose what was acknowledged; "
        "run CONFIG SET appendonly yes, and put it into the server's configuration"
    )
    not_appended = "the server could not write its append-only file; make room on its disk"
    no_snapshot = "the server's last snapshot failed; see its log, and make room on its disk"
    replica = "the server is a replica, which takes no appends; use the URL of its master"
    full = f"the server uses {used:,} of its {most:,} bytes of memory; raise maxmemory"
    rules = (
        (info.get("aof_enabled") != "1", append_only_off),
        (info.get("aof_last_write_status", "ok") != "ok", not_appended),
        (info.get("rdb_last_bgsave_status", "ok") != "ok", no_snapshot),
        (info.get("role", "master") != "master", replica),
        (most and used > most * MEMORY_IS_FULL, full),
    )
    return [what_to_do for is_wrong, what_to_do in rules if is_wrong]


def _config(line: BlockingLine) -> dict[str, str]:
    """Read what INFO does not tell; some servers keep it to themselves."""

    def pairs(reply: list[bytes]) -> dict[str, str]:
        words = [word.decode(errors="replace") for word in reply]
        return dict(zip(words[::2], words[1::2], strict=True))

    config: dict[str, str] = {}
    for name in ("appendfsync", "save"):
        try:
            config |= ask(line, Command(("CONFIG", "GET", name), pairs))
        except ServerRefused:
            continue
    return config


def _round_trip_ms(line: BlockingLine) -> float:
    """Give the median of ``ROUND_TRIPS``."""
    taken_s = []
    for _ in range(ROUND_TRIPS):
        began_s = time.perf_counter()
        ask(line, Command(("PING",), bytes))
        taken_s.append(time.perf_counter() - began_s)
    return round(statistics.median(taken_s) * 1000, 3)
