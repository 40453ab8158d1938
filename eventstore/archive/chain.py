"""What makes an archived history tamper-evident: digests of events, and a chain for each run.

A chain is made over digests, so it can still be checked after an event's content was erased.
"""

from __future__ import annotations

from hashlib import sha256

from eventstore.events import Position


def digest_of(encoded: bytes) -> bytes:
    """Give the digest of an event's stored bytes."""
    return sha256(encoded).digest()


def first_link(run_id: str) -> bytes:
    """Give what the chain of a run begins with."""
    return sha256(b"run\n" + run_id.encode()).digest()


def next_link(
    previous: bytes,
    digest: bytes,
    version: int,
    position: Position,
    append_id: str,
    workflow_id: str | None,
) -> bytes:
    """Give the chain after one more event; names hold no line breaks."""
    partition, ms, n = position
    inherited = "" if workflow_id is None else f"\n{workflow_id}"
    rest = f"{version}\n{partition}:{ms}-{n}\n{append_id}{inherited}"
    return sha256(previous + digest + rest.encode()).digest()
