"""Workflows that changed while their runs were paused, and how their states follow.

A run tells its definition when it is created (``definition_hash`` in ``run.created``). Whoever
restores runs says which definition it has, and how a checkpoint made under an older one becomes
one of a newer.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from eventstore import DefinitionChanged, InvalidArgument, RecordedEvent
from projections.state import PauseState

Migrate = Callable[[dict[str, Any], Any], tuple[dict[str, Any], Any]]
"""Takes a checkpoint's state and ``resume_at``, and gives those for another definition."""


@dataclass(frozen=True, slots=True)
class Migration:
    """What became of a checkpoint under the current definition."""

    definition_hash: str
    state: dict[str, Any]
    resume_at: Any


class Definitions:
    """The definitions that a process has, by workflow id, and the migrations between them.

    ``insist`` says to go on with a changed definition also where no migration leads to it, with
    the checkpoint as it is.
    """

    def __init__(self, current: Mapping[str, str], *, insist: bool = False) -> None:
        for workflow_id, definition in current.items():
            if not isinstance(definition, str) or not definition:
                raise InvalidArgument(f"workflow {workflow_id!r} needs the hash of its definition")
        self._current = dict(current)
        self._insist = insist
        self._steps: dict[str, dict[str, Migrate]] = {}

    def register(self, from_hash: str, to_hash: str, migrate: Migrate) -> None:
        """Say how a checkpoint of one definition becomes one of another; steps are combined."""
        if not callable(migrate):
            raise InvalidArgument(f"migrate must be callable, not {migrate!r}")
        if to_hash in self._steps.setdefault(from_hash, {}):
            raise InvalidArgument(f"a migration from {from_hash!r} to {to_hash!r} is there already")
        self._steps[from_hash][to_hash] = migrate

    def migrate(
        self, run_id: str, workflow_id: str | None, recorded: str | None, pause: PauseState
    ) -> Migration | None:
        """Bring a checkpoint to the current definition; None if it is there already.

        A run that tells no definition, or of a workflow not named here, is taken as it is.
        Raises ``DefinitionChanged``.
        """
        current = self._current.get(workflow_id or "")
        if current is None or recorded is None or recorded == current:
            return None
        path = self._path(recorded, current)
        if path is None and not self._insist:
            raise DefinitionChanged(run_id, recorded, current)
        state, resume_at = dict(pause.state), pause.resume_at
        for step in path or ():
            state, resume_at = step(state, resume_at)
        return Migration(current, state, resume_at)

    def check(self, run_id: str, workflow_id: str | None, recorded: str | None) -> None:
        """Raise ``DefinitionChanged`` for a run that goes on under another definition already."""
        current = self._current.get(workflow_id or "")
        if current is None or recorded is None or recorded == current or self._insist:
            return
        raise DefinitionChanged(run_id, recorded, current)

    def _path(self, start: str, end: str) -> list[Migrate] | None:
        """Find the shortest way from one definition to another."""
        ways: dict[str, list[Migrate]] = {start: []}
        waiting = deque([start])
        while waiting:
            here = waiting.popleft()
            for there, step in self._steps.get(here, {}).items():
                if there not in ways:
                    ways[there] = [*ways[here], step]
                    waiting.append(there)
        return ways.get(end)


def migration_of(
    definitions: Definitions | None, events: Sequence[RecordedEvent], pause: PauseState
) -> Migration | None:
    """Migrate the checkpoint of a run's open pause, if need be; as ``Definitions.migrate``."""
    if definitions is None:
        return None
    recorded = None
    for event in events[: pause.version]:
        recorded = event.data.get("definition_hash") or recorded
    workflow_id = next((e.workflow_id for e in events if e.workflow_id is not None), None)
    return definitions.migrate(events[0].run_id, workflow_id, recorded, pause)


def definition_hash(definition: Any) -> str:
    """Give the SHA-256 of a definition that is JSON, whatever the order of its keys."""
    return hashlib.sha256(orjson.dumps(definition, option=orjson.OPT_SORT_KEYS)).hexdigest()
