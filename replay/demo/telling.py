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
    run_id, data = entry.run_id, entry.data
    policy = order.story.on_expiry
    match entry.type:
        case "run.paused" if order.story.window_s < PATIENT_WINDOW_S:
            window_s = data["window_ms"] / 1_000
            return Note(f"{run_id} waits for approval: {window_s:g} s, then {policy}", "yellow")
        case "run.paused":
            return Note(f"{run_id} waits for approval", "yellow")
        case "run.window_expired" if policy == "park":
            return Note(f"{run_id}: nobody answered, parked with its checkpoint", "yellow")
        case "run.restored" if policy == "restore":
            version = data["checkpoint_version"]
            return Note(
                f"{run_id}: nobody answered, restored from version {version}, goes on", "green"
            )
        case "run.recovered":
            return Note(f"{entry.actor} goes on with {run_id}: {data['reason']}", "bold green")
        case "node.failed":
            attempt = data["attempt"]
            return Note(f"{run_id}: {data['error']['message']} (attempt {attempt})", "red")
        case "run.completed":
            return Note(f"{run_id} completed", "bright_black")
        case "run.failed":
            return Note(f"{run_id} failed: {data['error']['message']}", "red")
        case "run.aborted":
            return Note(f"{run_id} aborted: {data['reason']}", "magenta")
    return None
