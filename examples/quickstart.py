"""Append, load, pause, resume: ``python examples/quickstart.py``; its data stay in .runstore/."""

from eventstore import NewEvent, SyncEventStore
from replay import SyncRunControl

with SyncEventStore.open() as store:
    checked = NewEvent("node.completed", {"node_id": "check", "patch": {"total": 990}})
    store.append("refund-17", [NewEvent("run.created", workflow_id="refund"), checked])

    control = SyncRunControl(store)  # somebody must approve; no process need wait for that
    control.pause("refund-17", state={"total": 990}, resume_at="pay", window=3600, on_expiry="park")
    context = control.resume("refund-17", {"approved": True}, actor="ann")

    for event in store.load("refund-17"):
        print(event.version, event.type, event.data.get("node_id", ""))
    print("goes on at", context.resume_at, "with", context.state)
