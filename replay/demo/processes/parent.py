"""How a process of the demo learns that it is time to leave."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable


def when_parent_ends(stop: Callable[[], object]) -> None:
    """Call ``stop``, from a thread, at the end of standard input.

    The parent holds the other end. When it closes it, or dies in whatever way, no process of the
    demo is left behind.
    """

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1):
            continue
        stop()

    threading.Thread(target=watch, daemon=True).start()
