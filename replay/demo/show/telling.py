"""What happens to the orders, in words."""

from __future__ import annotations

from dataclasses import dataclass

from projections import TimelineEntry
from replay.demo.orders import PATIENT_WINDOW_S, Order


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth telling; ``style`` is one of rich's."""

    text: str
    style: str = ""


def tell(entry: TimelineEntry, order: Order) -> Note | None:
    """Put an event into words, if it is worth it."""
    data, policy = entry.data, order.story.on_expiry
    text, style = "", ""
    match entry.type:
        case "run.paused":
            text, style = "waits for approval", "yellow"
            if order.story.window_s < PATIENT_WINDOW_S:
                text += f": {data['window_ms'] / 1_000:g} s, then {policy}"
        case "run.window_expired" if order.story.cause != "run_ended":
            then = "restored from its checkpoint, goes on" if policy == "restore" else "parked"
            text, style = f"got no answer: {then}", "yellow"
        case "run.recovered":
            text, style = f"goes on with {entry.actor}: {data['reason']}", "bold green"
        case "node.failed":
            text, style = f"attempt {data['attempt']}: {data['error']['message']}", "red"
        case "run.completed":
            text, style = "completed", "green"
        case "run.failed":
            text, style = f"failed: {order.story.title}", "red"
        case "run.aborted":
            text, style = f"aborted: {order.story.title}", "magenta"
    return Note(f"{entry.run_id} {text}", style) if text else None
