"""Two runs wait for a person. One is approved in time. The other's window ends: it is restored.

    python examples/approval.py

Nothing else is needed: a server of its own starts for it, and keeps its data in .runstore/.
"""

from __future__ import annotations

import asyncio
from uuid import uuid4

from eventstore import NO_RUN, EventStore, NewEvent
from replay import Restorer, RunContext, RunControl


async def begin(store: EventStore, run_id: str, window_s: float) -> None:
    """Do what can be done before somebody has decided; after that no process need wait."""
    facts = {"amount": 990, "budget": "travel"}
    created = NewEvent("run.created", {"input": {"amount": 990}}, workflow_id="expense")
    checked = NewEvent("node.completed", {"node_id": "check", "patch": facts})
    result = await store.append(run_id, [created, checked], expected=NO_RUN)
    await RunControl(store).pause(
        run_id,
        state=facts,
        resume_at="pay",
        window=window_s,
        on_expiry="restore",
        reason="approval",
        expected=result.last_version,
    )


async def go_on(store: EventStore, context: RunContext) -> None:
    """Do the rest. At the exact version: of several workers, one gets through."""
    print(f"{context.run_id} goes on ({context.cause}) with {context.state}")
    end = NewEvent("run.aborted", {"reason": "nobody approved it"})
    if context.state.get("approved"):
        end = NewEvent("run.completed", {"output": f"paid by {context.actor}"})
    await store.append(context.run_id, end, expected=context.version)


async def main() -> None:
    """Let a person answer one, and time the other."""
    quick, slow = f"quick-{uuid4().hex[:8]}", f"slow-{uuid4().hex[:8]}"
    async with EventStore.open() as store:
        await begin(store, quick, window_s=60)
        await begin(store, slow, window_s=0.5)
        await go_on(store, await RunControl(store).resume(quick, {"approved": True}, actor="ann"))

        restorer = Restorer(store, lambda context: go_on(store, context))  # as many as you like
        service = asyncio.create_task(restorer.run())
        end = await store.wait(slow, ("run.completed", "run.aborted"), timeout=10)
        print(f"{slow} ended at version {end.version}: {end.type}")
        restorer.stop()
        await service


asyncio.run(main())
