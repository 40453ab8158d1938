"""The workflow: an order is checked, scored, approved if it is large, paid and shipped.

It is plain code that runs from the top each time a worker takes the run. What the run's history
says is done is not done again; so it can stop anywhere and go on in another process.
"""

from __future__ import annotations

from replay.demo.processes.execution import Execution, NodeError, Patch

LARGE = 0.5


async def fulfil(run: Execution) -> None:
    """Take an order as far as it goes: to its end, or to a pause."""
    await run.node("stock", "check stock", check_stock)
    await run.node("risk", "score risk", score_risk)
    if run.state["risk"] >= LARGE:
        if not await run.approval(**run.input["approval"]):
            return  # paused: whichever worker gets the resume goes on from here
        if run.state.get("approved") is False:
            await run.abort("declined")
            return
    await run.node("charge", "charge card", charge_card)
    await run.node("ship", "ship", ship)
    await run.complete({"receipt": run.state["receipt"], "parcel": run.state["parcel"]})


async def check_stock(run: Execution) -> Patch:
    """Look whether the item is there."""
    await run.take(0.15)
    return {"shelf": f"{run.input['item'][0].upper()}{run.input['amount'] % 9}"}


async def score_risk(run: Execution) -> Patch:
    """Ask a model how risky the order is."""
    await run.take(0.05)
    answer = {"risk": min(0.99, run.input["amount"] / 1_000)}
    await run.call("risk", "model", "risk-model", 0.3, answer, {"tokens": 200})
    return answer


async def charge_card(run: Execution) -> Patch:
    """Charge the card. The call's id is the same in every attempt: the bank charges once."""
    await run.call("charge", "http", "bank", 0.25, {"amount": run.input["amount"]})
    if run.input["card"] == "refused" or (run.input["card"] == "flaky" and run.attempt == 1):
        raise NodeError("CardRefused", "the bank did not take the card")
    return {"receipt": f"{run.run_id}-paid"}


async def ship(run: Execution) -> Patch:
    """Hand the parcel over."""
    await run.take(0.3)
    return {"parcel": f"{run.run_id}-parcel"}
