"""What restorers and reconcilers have in common: due timers taken, dealt with, runs handed on."""

from replay.sweeping.job import (
    DEFAULT_CONCURRENCY,
    DEFAULT_HANDOVER_MS,
    DEFAULT_IDLE_MS,
    DEFAULT_LEASE_MS,
    Job,
    check,
)
from replay.sweeping.sweeper import Sweeper
from replay.sweeping.sync_sweeper import SyncSweeper

__all__ = [
    "DEFAULT_CONCURRENCY",
    "DEFAULT_HANDOVER_MS",
    "DEFAULT_IDLE_MS",
    "DEFAULT_LEASE_MS",
    "Job",
    "Sweeper",
    "SyncSweeper",
    "check",
]
