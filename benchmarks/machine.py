"""What it was measured on."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import redis


def machine(url: str) -> dict[str, str]:
    """Describe the machine, the versions and the server, without its address."""
    with redis.Redis.from_url(url) as client:
        info = client.info()
    name, number = "Redis", info["redis_version"]
    if "valkey_version" in info:
        name, number = "Valkey", info["valkey_version"]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "redis-py": version("redis"),
        "hiredis": version("hiredis"),
        "server": f"{name} {number}",
        "append-only file": "yes" if info.get("aof_enabled") else "no",
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
