"""Lifting older payloads to today's shape while they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eventstore.errors import InvalidArgument

Upcast = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes the data of one schema version, gives the data of the next. Must not change its input."""


class Upcasters:
    """The registered steps from each schema version of a type to the next.

    ``EventStore.open(upcasters=…)`` calls ``check`` once, so that a missing step is an error at
    start-up and not at the 900th event.
    """

    def __init__(self) -> None:
        self._steps: dict[tuple[str, int], Upcast] = {}
        self._current: dict[str, int] = {}

    def register(self, event_type: str, from_version: int) -> Callable[[Upcast], Upcast]:
        """Register the step of ``event_type`` from ``from_version`` to the next; a decorator.

        Raises ``InvalidArgument`` for a second step from the same version.
        """

        def add(step: Upcast) -> Upcast:
            key = (event_type, from_version)
            if from_version < 1 or key in self._steps:
                raise InvalidArgument(
                    f"a step of {event_type} from schema version {from_version} "
                    + ("exists already" if key in self._steps else "cannot be: versions start at 1")
                )
            self._steps[key] = step
            self._current[event_type] = max(self._current.get(event_type, 1), from_version + 1)
            return step

        return add

    def check(self) -> None:
        """Raise ``InvalidArgument`` naming the first missing step, if any."""
        for event_type, current in self._current.items():
            for version in range(1, current):
                if (event_type, version) not in self._steps:
                    raise InvalidArgument(
                        f"no upcaster of {event_type} from schema version {version}, "
                        f"though there is one to {current}; register it",
                        type=event_type,
                        schema_version=version,
                    )

    def lift(
        self, event_type: str, data: dict[str, Any], schema_version: int
    ) -> tuple[dict[str, Any], int]:
        """Give the data and schema version after all steps that apply."""
        while step := self._steps.get((event_type, schema_version)):
            data, schema_version = step(data), schema_version + 1
        return data, schema_version

    @property
    def steps(self) -> list[tuple[str, int]]:
        """The types, and their schema versions, that are lifted; sorted."""
        return sorted(self._steps)

    def __bool__(self) -> bool:
        return bool(self._steps)
