"""The blocking twin of ``control``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from eventstore import SyncEventStore
from replay import adjusting, checkpoints, heartbeats, pausing
from replay.adjusting import Expired
from replay.answers import deciding
from replay.answers.deciding import Answer
from replay.answers.tokens import Tokens, token_key
from replay.context import RunContext
from replay.control import OnExpiry, cancelling, pause_data
from replay.definitions import Definitions
from replay.erasing import deleting
from replay.pausing import Paused, Window
from replay.signals.control import SyncSignalControl
from replay.signals.waiting import WaitMode, pause_and_wait, waiting_data


class SyncRunControl(SyncSignalControl):
    """Changes runs of a ``SyncEventStore`` from outside; the blocking twin of ``RunControl``."""

    def __init__(
        self,
        store: SyncEventStore,
        *,
        token_key: bytes | str | None = None,
        definitions: Definitions | None = None,
    ) -> None:
        self._store = store
        self._token_key = token_key
        self._definitions = definitions

    def pause(
        self,
        run_id: str,
        *,
        state: dict[str, Any],
        resume_at: Any = None,
        window: Window,
        on_expiry: OnExpiry,
        pause_id: str | None = None,
        node_id: str | None = None,
        reason: str | None = None,
        decision_schema: dict[str, Any] | None = None,
        wait_for: Sequence[Mapping[str, Any]] | None = None,
        wait_mode: WaitMode = "any",
        wait_timeout: Window = None,
        expected: Any = None,
        meta: dict[str, Any] | None = None,
    ) -> Paused:
        """Record that a run waits; see ``RunControl.pause``."""
        data = pause_data(state, resume_at, on_expiry, node_id, reason, decision_schema)
        data |= waiting_data(wait_for, wait_mode, wait_timeout)
        record = pause_and_wait if wait_for else None
        operations = self._store.operations
        plan = pausing.pause(operations, run_id, data, window, pause_id, expected, meta, record)
        return self._store.perform(plan)

    def checkpoint(
        self,
        run_id: str,
        *,
        state: dict[str, Any],
        resume_at: Any = None,
        expected: Any = None,
        meta: dict[str, Any] | None = None,
    ) -> int:
        """Save a state from which the run can go on; see ``RunControl.checkpoint``."""
        operations = self._store.operations
        plan = checkpoints.save(operations, run_id, state, resume_at, expected, meta)
        return self._store.perform(plan)

    def resume(
        self,
        run_id: str,
        patch: dict[str, Any] | None = None,
        *,
        pause_id: str | None = None,
        cause: str = "manual",
        actor: str | None = None,
        attempt_id: str | None = None,
    ) -> RunContext:
        """End a pause and give the context to go on with; see ``RunControl.resume``."""
        operations, definitions = self._store.operations, self._definitions
        return self._store.perform(
            pausing.resume(
                operations, run_id, patch, pause_id, cause, actor, attempt_id, definitions
            )
        )

    def decide(
        self,
        run_id: str | None = None,
        answer: Any = None,
        *,
        token: str | None = None,
        pause_id: str | None = None,
        actor: str | None = None,
        attempt_id: str | None = None,
    ) -> RunContext:
        """End a pause by an answer; see ``RunControl.decide``."""
        signed = None if token is None else self._tokens.read(token)
        plan = deciding.decide(
            self._store.operations,
            run_id,
            pause_id,
            Answer(answer, actor, attempt_id),
            self._definitions,
            signed,
        )
        return self._store.perform(plan)

    def token(self, run_id: str, pause_id: str | None = None, *, valid_for: Window = None) -> str:
        """Give the token by which an open pause can be decided; see ``RunControl.token``."""
        tokens, operations = self._tokens, self._store.operations
        plan = deciding.token_for(operations, run_id, pause_id, valid_for)
        return tokens.sign(self._store.perform(plan))

    def extend(
        self,
        run_id: str,
        window: Window,
        *,
        pause_id: str | None = None,
        actor: str | None = None,
    ) -> Paused:
        """Let a pause's window end ``window`` from now; see ``RunControl.extend``."""
        operations = self._store.operations
        return self._store.perform(adjusting.extend(operations, run_id, window, pause_id, actor))

    def expire(self, run_id: str, pause_id: str | None = None) -> Expired:
        """Let a pause's window end now; see ``RunControl.expire``."""
        operations, definitions = self._store.operations, self._definitions
        return self._store.perform(adjusting.expire(operations, run_id, pause_id, definitions))

    def cancel(
        self,
        run_id: str,
        pause_id: str | None = None,
        reason: str | None = None,
        *,
        actor: str | None = None,
        attempt_id: str | None = None,
    ) -> RunContext:
        """Call a pause off; see ``RunControl.cancel``."""
        ending = cancelling(reason, actor, attempt_id)
        operations, definitions = self._store.operations, self._definitions
        plan = pausing.end_pause(operations, run_id, pause_id, ending, definitions)
        return self._store.perform(plan)

    def abort(self, run_id: str, reason: str | None = None, *, actor: str | None = None) -> int:
        """End a run; see ``RunControl.abort``."""
        return self._store.perform(adjusting.abort(run_id, reason, actor))

    def delete(self, run_id: str, reason: str | None = None, *, actor: str | None = None) -> int:
        """Delete a run; see ``RunControl.delete``."""
        operations = self._store.operations
        return self._store.perform(deleting.delete(operations, run_id, reason, actor))

    def heartbeat(self, run_id: str, *, expected: int | None = None) -> datetime | None:
        """Say that a run's worker is alive; see ``RunControl.heartbeat``."""
        return self._store.perform(heartbeats.beat(self._store.operations, run_id, expected))

    @property
    def _tokens(self) -> Tokens:
        return Tokens(token_key(self._token_key), self._store.identity)
