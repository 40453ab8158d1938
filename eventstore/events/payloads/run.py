"""What tells of a run as a whole: how it begins and ends."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from eventstore.events.payloads.base import ErrorInfo, Milliseconds, Name, Payload


class RunOptions(Payload):
    """What a run asks of the store.

    A run with ``stall_after_ms`` is recovered when it is silent for so long; 0 or None: never.
    """

    stall_after_ms: Milliseconds | None = None


class RunCreated(Payload):
    """``run.created``: the run exists, with its input.

    ``parent`` is the run that it came from; a fork of it says up to which version it has its
    events, ``parent_version``.
    """

    input: Any = None
    parent: Name | None = None
    parent_version: Annotated[int, Field(ge=1)] | None = None
    labels: dict[str, Any] | None = None
    definition_hash: str | None = None
    options: RunOptions | None = None


class RunStarted(Payload):
    """``run.started``: a worker took the run."""

    worker: str | None = None
    options: RunOptions | None = None


class RunCompleted(Payload):
    """``run.completed``: the run ended well. Final."""

    output: Any = None


class RunFailed(Payload):
    """``run.failed``: the run ended with an error. Final."""

    error: ErrorInfo


class RunAborted(Payload):
    """``run.aborted``: somebody ended the run. Final."""

    reason: str | None = None


class RunDeleted(Payload):
    """``run.deleted``: the run is to be forgotten; the only event that may follow an end."""

    reason: str | None = None


class RunRecovered(Payload):
    """``run.recovered``: the run was taken from a worker that went silent."""

    reason: str | None = None
    from_worker: str | None = None
