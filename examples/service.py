"""A service that tells people how their runs ended. Start it as often as you like.

    python examples/service.py

It uses the server of ``RUNSTORE_REDIS_URL``, or one of its own that keeps its data in .runstore/.
SIGTERM or Ctrl-C ends it: what it works on is finished first. If it is killed instead, another
one takes over, or the next start goes on.
"""

from __future__ import annotations

from pydantic import BaseModel

from eventstore import Delivery, Park, RecordedEvent, Retry, Service
from eventstore.events.payloads import RunFailed

LARGE_AMOUNT = 1_000_000

# The first start makes the group; from then on it keeps its place.
service = Service("teller", create=True, max_deliveries=8)


class OrderPaid(BaseModel):
    """The data of ``order.paid``. An event that does not fit is set aside, with the reason."""

    amount: int
    currency: str = "EUR"


@service.on("run.completed", "run.aborted")
async def tell(event: RecordedEvent) -> None:
    """Handle one event; raise, and it comes again after a pause, while other runs go on.

    After a crash an event may come twice: pass ``event.id`` on as the key of what you do.
    """
    print(f"{event.run_id}: {event.type} {event.data}", flush=True)


@service.on("run.failed")
async def alert(event: RecordedEvent, payload: RunFailed) -> None:
    """Handle a built-in type with its own model."""
    print(f"{event.run_id}: {event.type} {payload.error.type}", flush=True)


@service.on("order.paid", workflow_ids={"orders"})
def thank(event: RecordedEvent, payload: OrderPaid, delivery: Delivery) -> None:
    """Handle an event of one workflow; a plain function runs in a thread."""
    if payload.amount < 0:
        raise Park("money went the wrong way: somebody must look at this")
    if payload.amount > LARGE_AMOUNT and delivery.attempt == 1:
        raise Retry(after=1)  # the fraud check needs a second
    print(f"{event.run_id}: thanks for {payload.amount} {payload.currency}", flush=True)


if __name__ == "__main__":
    service.main()
    print(f"told {service.counts.handled}", flush=True)
