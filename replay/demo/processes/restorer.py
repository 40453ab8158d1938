"""A restorer: ``python -m replay.demo.processes.restorer [FOLDER]``. Start two, and one may die."""

from __future__ import annotations

import asyncio
import logging
import sys
from functools import partial

from eventstore import EventStore
from replay.context import RunContext
from replay.demo.processes.parent import when_parent_ends
from replay.restorer import Restorer

logger = logging.getLogger("runstore.demo")

LEASE_MS = 1_000
"""How long the timers of a restorer that died wait for the other one."""
LOOK_EVERY_MS = 50


def hand_on(context: RunContext) -> None:
    """Hand a restored run to a worker: its group sees the ``run.resumed`` that stands recorded."""
    logger.info("%s restored at version %d", context.run_id, context.version)


async def restore(folder: str) -> None:
    """Let windows end until the parent process ends or says so."""
    async with EventStore.open(folder=folder, partitions=None) as store:
        restorer = Restorer(
            store, hand_on, lease_ms=LEASE_MS, handover_ms=LEASE_MS, idle_ms=LOOK_EVERY_MS
        )
        when_parent_ends(partial(asyncio.get_running_loop().call_soon_threadsafe, restorer.stop))
        await restorer.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(restore([*sys.argv[1:], ".runstore"][0]))
