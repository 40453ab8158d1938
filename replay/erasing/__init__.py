"""Deleting runs, showing where anything is left of them, and removing the last traces."""

from replay.erasing.traces import Remains, Trace, remains
from replay.erasing.wiping import Wiped, wipe

__all__ = ["Remains", "Trace", "Wiped", "remains", "wipe"]
