"""Every bound of a store in one place. The defaults suit one machine; each can be set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from eventstore.errors import InvalidArgument

ENVIRONMENT_PREFIX = "RUNSTORE_"
URL_VARIABLE = "RUNSTORE_REDIS_URL"
ARCHIVE_VARIABLE = "RUNSTORE_ARCHIVE"
COPY_MARGIN_BYTES = 2_048
"""Room for what a copy says of where it comes from: two names of 200 bytes, however escaped."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The bounds of one open store.

    Each can come from the environment: ``RUNSTORE_APPEND_TIMEOUT_MS=5000`` and so on.
    """

    max_event_bytes: int = 1_048_576
    """The largest encoded event that is taken."""
    inline_state_bytes: int = 32_768
    """A state of a pause or checkpoint of up to so many bytes lies whole in its event. Of a larger
    one the largest values are stored once in the run."""
    max_state_bytes: int = 16_777_216
    """The largest state of a pause or checkpoint that is taken."""
    max_append_events: int = 1_000
    """The most events in one append."""
    max_copied_events: int = 50_000
    """The most events of a run that a fork copies: in one script call, or not at all. So many keep
    the server busy for one or two seconds."""
    max_waiting_appends: int = 10_000
    """Appends waiting in this process; beyond it, callers wait for room."""
    max_script_events: int = 100
    """The most events one script call carries: it bounds how long the server is busy."""
    max_script_bytes: int = 4_194_304
    """The most bytes of events one script call carries (one append alone may exceed it)."""
    append_timeout_ms: int = 15_000
    """How long an append tries, over reconnects, before its outcome counts as unknown."""
    retry_pause_ms: int = 20
    """The first pause before a retry; it doubles up to ``retry_pause_max_ms``."""
    retry_pause_max_ms: int = 500
    connect_timeout_ms: int = 3_000
    reply_timeout_ms: int = 5_000
    """How long one reply may take before the connection counts as lost."""
    durability_timeout_ms: int = 2_000
    """How long replicas or the disk may take to confirm an append."""
    block_ms: int = 2_000
    """How long one blocking read stays at the server before it asks again."""
    page_events: int = 500
    """Events fetched by one read."""
    max_connections: int = 32
    """Connections for reads, and as many again for reads that wait. One carries the appends."""
    stall_after_ms: int = 60_000
    """A consumer group that holds a partition and gets on nowhere for so long counts as stalled."""
    max_buffered_signals: int = 1_000
    """Signals that a run keeps until something consumes them."""
    max_watches: int = 1_000
    """Watches that a run has at a time, besides those of its pauses."""
    signal_receipt_ms: int = 604_800_000
    """How long a signal with a source that reached its watchers is known when it comes again."""
    max_failure_message: int = 2_000
    """Characters kept of the message of an error that parked a run."""
    max_failure_traceback: int = 20_000
    """Characters kept of its traceback: the last ones, which say where it was raised."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InvalidArgument(
                    f"setting {field.name} must be a whole number above 0, not {value!r}",
                    setting=field.name,
                )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read settings from variables such as ``RUNSTORE_BLOCK_MS``.

        Raises ``InvalidArgument`` for a value that is not a whole number above 0.
        """
        variables = os.environ if environment is None else environment
        settings = cls()
        for field in fields(cls):
            text = variables.get(ENVIRONMENT_PREFIX + field.name.upper())
            if text is not None:
                settings = replace(settings, **{field.name: _whole(field.name, text)})
        return settings

    def for_copies(self) -> Settings:
        """Give the bounds of an append that copies recorded events to a run of their own."""
        size = self.max_event_bytes + COPY_MARGIN_BYTES
        return replace(self, max_append_events=self.max_copied_events, max_event_bytes=size)


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidArgument(
            f"{ENVIRONMENT_PREFIX}{name.upper()} must be a whole number, not {text!r}",
            setting=name,
        ) from None
