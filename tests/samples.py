"""Small events and checks that many tests share."""

from __future__ import annotations

from typing import Any

from servers import AnyServer

from eventstore import NewEvent


def noted(text: str = "", **more: Any) -> NewEvent:
    """Make an event of a type that the store knows nothing of."""
    return NewEvent("note.taken", {"text": text}, **more)


def notes(count: int) -> list[NewEvent]:
    """Make numbered events."""
    return [noted(str(number)) for number in range(1, count + 1)]


def paused(pause_id: str = "p1", window_ms: int | None = 60_000, **more: Any) -> NewEvent:
    """Make the event that opens a pause."""
    data: dict[str, Any] = {
        "pause_id": pause_id,
        "state": {},
        "window_ms": window_ms,
        "on_expiry": "restore",
    }
    return NewEvent("run.paused", data, **more)


def resumed(pause_id: str = "p1") -> NewEvent:
    """Make the event that ends a pause."""
    return NewEvent("run.resumed", {"pause_id": pause_id, "cause": "manual"})


def ended(how: str = "run.completed") -> NewEvent:
    """Make an event that ends a run."""
    needed = {"error": {"type": "Sad", "message": "it broke"}} if how == "run.failed" else {}
    return NewEvent(how, needed)


def deleted() -> NewEvent:
    """Make the only event that may follow an end."""
    return NewEvent("run.deleted")


def contents(server: AnyServer, namespace: str) -> dict[bytes, bytes]:
    """Give every key of a namespace with its bytes: equal before and after means untouched."""
    return {key: server.admin.dump(key) for key in server.keys(namespace)}


def go_back(server: AnyServer, namespace: str, copy: dict[bytes, bytes]) -> None:
    """Let a namespace hold what ``contents`` gave of it, and nothing else."""
    server.forget(namespace)
    for key, value in copy.items():
        server.admin.restore(key, 0, value)
