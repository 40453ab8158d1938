"""A consumer group whose handler does nothing."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import floors, samples
from benchmarks.ground import Ground
from benchmarks.harness import Contender, Contest
from benchmarks.opened import Stores, opened
from eventstore import Append, ConsumerGroup, RecordedEvent
from eventstore.groups import Handler

RUNS = 1_500
"""Also where it must be quick: joining is a fifth of what a tenth of the work takes."""
TARGET = 0.5
"""Of the floor, with one member, 16 partitions and a handler that does nothing."""


def contests(ground: Ground) -> Iterator[Contest]:
    """Measure an async handler and a plain one, from the log's beginning to its end."""
    with opened(ground, "consume") as stores:
        appends = [Append(*run) for run in samples.histories(RUNS)]
        stores.blocking.append_many(appends)
        client = ground.client()
        group = ""

        def create() -> None:
            nonlocal group
            group = ground.new_name("group")
            floors.create_group(client, stores.keys, group)

        yield Contest(
            "consumer group, handler does nothing",
            "events",
            [
                Contender(
                    "e: XREADGROUP + orjson + XACK",
                    lambda: floors.consume(client, stores.keys, group),
                    create,
                )
            ],
            [
                Contender(
                    "async handler",
                    lambda: _consume(ground, stores, _async_nothing),
                    target=TARGET,
                ),
                Contender("plain handler", lambda: _consume(ground, stores, _nothing)),
            ],
        )


def _consume(ground: Ground, stores: Stores, handler: Handler) -> int:
    async def consume() -> int:
        name = ground.new_name("group")
        return await ConsumerGroup(stores.asynchronous, name, handler, create=True).run_to_end()

    return stores.run(consume())


async def _async_nothing(_event: RecordedEvent) -> None:
    pass


def _nothing(_event: RecordedEvent) -> None:
    pass
