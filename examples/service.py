"""A service that tells people how their runs ended. Start it as often as you like.

    python examples/service.py

It uses the server of ``RUNSTORE_REDIS_URL``, or one of its own that keeps its data in .runstore/.
SIGTERM or Ctrl-C ends it: what it works on is finished first. If it is killed instead, another
one takes over, or the next start goes on.
"""

from __future__ import annotations

import asyncio
import logging
import signal

from eventstore import ConsumerGroup, EventStore, RecordedEvent


async def tell(event: RecordedEvent) -> None:
    """Handle one event; raise, and it comes again after a pause, while other runs go on.

    After a crash an event may come twice: pass ``event.id`` on as the key of what you do.
    """
    print(f"{event.run_id}: {event.type} {event.data}", flush=True)


async def main() -> None:
    """Serve until told to stop."""
    logging.basicConfig()
    async with EventStore.open() as store:
        group = ConsumerGroup(
            store,
            "teller",
            tell,
            types={"run.completed", "run.failed", "run.aborted"},
            create=True,  # the first start makes the group; from then on it keeps its place
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, group.stop)
        await group.run()
        print(f"told {group.counts.handled}", flush=True)


asyncio.run(main())
