"""Changing runs from outside: pausing, resuming, deciding, and what else a pause may need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from eventstore import EventStore
from replay import adjusting, checkpoints, heartbeats, pausing
from replay.adjusting import Expired
from replay.answers import deciding
from replay.answers.deciding import Answer
from replay.answers.schemas import check_schema
from replay.answers.tokens import Tokens, token_key
from replay.context import RunContext
from replay.definitions import Definitions
from replay.erasing import deleting
from replay.pausing import Ending, Paused, Window
from replay.signals.control import SignalControl
from replay.signals.waiting import WaitMode, pause_and_wait, waiting_data

OnExpiry = Literal["restore", "park", "fail", "abort"]


class RunControl(SignalControl):
    """Changes runs of an ``EventStore`` from outside.

    Several pauses may be open in one run, each with its ``pause_id``; where only one is, it need
    not be named. Of all resumes, decisions, signals, time-outs and expiries of a pause one wins,
    and the others get ``AlreadyResumed`` with who won. Raises ``PauseNotFound`` where no pause,
    or none but several, could be meant; ``RunClosed``; ``RunNotFound``; and as ``append`` does.

    An ``attempt_id`` (any name, unique in the store) makes ending a pause safe to repeat, also by
    another process: who comes again with it gets the context again. ``OutcomeUnknown`` carries
    the one that was used.

    - ``token_key``: signs resume tokens; the variable ``RUNSTORE_TOKEN_KEY`` by default.
    - ``definitions``: the workflows' definitions here; a checkpoint of another one is migrated,
      or raises ``DefinitionChanged``.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        token_key: bytes | str | None = None,
        definitions: Definitions | None = None,
    ) -> None:
        self._store = store
        self._token_key = token_key
        self._definitions = definitions

    async def pause(
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
        """Record that a run waits, with the checkpoint it can go on from.

        - ``state``: what the run needs to go on; ``resume_at``: where, in the workflow's terms.
        - ``window``: how long its live context is kept: a timedelta or seconds; 0 ends at once,
          None never. It counts from the server's clock.
        - ``on_expiry``: ``restore`` goes on by itself, ``park`` stays paused, ``fail`` and
          ``abort`` end the run.
        - ``decision_schema``: the JSON Schema that a decision's answer must fit.
        - ``wait_for``: the signals that end the pause, as ``[{"type": …, "conditions": […]}]``
          (see ``watch``), any or all of them by ``wait_mode``; ``"into": key`` puts a payload
          into the state. Those that the run keeps count: then the pause is over at once, and
          ``context`` is there to go on with. ``wait_timeout``, a timedelta or seconds, lets the
          run go on without them, with the cause ``timeout``.
        - ``expected``: the version the run must be at; else it must exist.

        The large values of a state over ``inline_state_bytes`` are stored once in the run, however
        often it pauses with them; together they may have ``max_state_bytes``.

        Raises as ``EventStore.append`` does, and ``StateTooLarge``.
        """
        data = pause_data(state, resume_at, on_expiry, node_id, reason, decision_schema)
        data |= waiting_data(wait_for, wait_mode, wait_timeout)
        record = pause_and_wait if wait_for else None
        operations = self._store.operations
        plan = pausing.pause(operations, run_id, data, window, pause_id, expected, meta, record)
        return await self._store.perform(plan)

    async def checkpoint(
        self,
        run_id: str,
        *,
        state: dict[str, Any],
        resume_at: Any = None,
        expected: Any = None,
        meta: dict[str, Any] | None = None,
    ) -> int:
        """Save a state from which the run can go on, while it goes on; gives its version.

        It replaces the state, and that of each open pause. The parameters are those of ``pause``,
        and so is what it raises.
        """
        operations = self._store.operations
        plan = checkpoints.save(operations, run_id, state, resume_at, expected, meta)
        return await self._store.perform(plan)

    async def resume(
        self,
        run_id: str,
        patch: dict[str, Any] | None = None,
        *,
        pause_id: str | None = None,
        cause: str = "manual",
        actor: str | None = None,
        attempt_id: str | None = None,
    ) -> RunContext:
        """End a pause and give the context to go on with; ``patch`` goes into the state.

        After the window the context is restored from the checkpoint.
        """
        operations, definitions = self._store.operations, self._definitions
        return await self._store.perform(
            pausing.resume(
                operations, run_id, patch, pause_id, cause, actor, attempt_id, definitions
            )
        )

    async def decide(
        self,
        run_id: str | None = None,
        answer: Any = None,
        *,
        token: str | None = None,
        pause_id: str | None = None,
        actor: str | None = None,
        attempt_id: str | None = None,
    ) -> RunContext:
        """End a pause by an answer; name the run, or pass the token of a link.

        The answer is any JSON that fits the pause's ``decision_schema``; an object goes into the
        state, too. The token counts once and until its deadline. It is never taken in place of
        a run id: what came with a link goes into ``token``.

        Raises ``AnswerRejected`` (the pause stays open), ``WrongToken``, ``PauseExpired``.
        """
        signed = None if token is None else self._tokens.read(token)
        plan = deciding.decide(
            self._store.operations,
            run_id,
            pause_id,
            Answer(answer, actor, attempt_id),
            self._definitions,
            signed,
        )
        return await self._store.perform(plan)

    async def token(
        self, run_id: str, pause_id: str | None = None, *, valid_for: Window = None
    ) -> str:
        """Give the token by which an open pause can be decided, once, safe in a URL.

        Whoever has it can decide. It counts until the end of the window as it is now, or
        ``valid_for`` so long (a timedelta or seconds).
        """
        tokens, operations = self._tokens, self._store.operations
        plan = deciding.token_for(operations, run_id, pause_id, valid_for)
        return tokens.sign(await self._store.perform(plan))

    async def extend(
        self,
        run_id: str,
        window: Window,
        *,
        pause_id: str | None = None,
        actor: str | None = None,
    ) -> Paused:
        """Let a pause's window end ``window`` from now (a timedelta or seconds; None: never).

        Raises ``PauseExpired`` once the window is over.
        """
        operations = self._store.operations
        plan = adjusting.extend(operations, run_id, window, pause_id, actor)
        return await self._store.perform(plan)

    async def expire(self, run_id: str, pause_id: str | None = None) -> Expired:
        """Let a pause's window end now, with all that its ``on_expiry`` says.

        A run that is restored is handed to a worker by the next restorer that looks. Raises
        ``PauseExpired`` if its end was recorded before.
        """
        operations, definitions = self._store.operations, self._definitions
        plan = adjusting.expire(operations, run_id, pause_id, definitions)
        return await self._store.perform(plan)

    async def cancel(
        self,
        run_id: str,
        pause_id: str | None = None,
        reason: str | None = None,
        *,
        actor: str | None = None,
        attempt_id: str | None = None,
    ) -> RunContext:
        """Call a pause off: the run goes on without an answer, with the cause ``cancelled``.

        The caller goes on with the context, as after ``resume``.
        """
        ending = cancelling(reason, actor, attempt_id)
        operations, definitions = self._store.operations, self._definitions
        plan = pausing.end_pause(operations, run_id, pause_id, ending, definitions)
        return await self._store.perform(plan)

    async def abort(
        self, run_id: str, reason: str | None = None, *, actor: str | None = None
    ) -> int:
        """End a run, whatever it does or waits for; gives the version of its end."""
        return await self._store.perform(adjusting.abort(run_id, reason, actor))

    async def delete(
        self, run_id: str, reason: str | None = None, *, actor: str | None = None
    ) -> int:
        """Delete a run, ended or not; gives the version of its ``run.deleted``.

        From then on its content leaves every place it is in: see ``replay.erasing``. Deleting
        a run once more changes nothing. Raises ``RunNotFound``.
        """
        operations = self._store.operations
        return await self._store.perform(deleting.delete(operations, run_id, reason, actor))

    async def heartbeat(self, run_id: str, *, expected: int | None = None) -> datetime | None:
        """Say that a run's worker is alive; gives its new deadline, by the server's clock.

        No event is written. None where the run has no deadline now: it is paused, waits for a
        worker, or was created without ``options.stall_after_ms``.

        - ``expected``: the version of the worker's context, or of its latest append. A worker
          that was silent so long that the run was taken from it since gets
          ``WrongExpectedVersion``, and keeps no deadline from the worker that has it now. What
          else reaches the run meanwhile, such as signals, does not matter.

        Raises ``RunClosed`` and ``RunNotFound``.
        """
        return await self._store.perform(heartbeats.beat(self._store.operations, run_id, expected))

    @property
    def _tokens(self) -> Tokens:
        return Tokens(token_key(self._token_key), self._store.identity)


def pause_data(
    state: dict[str, Any],
    resume_at: Any,
    on_expiry: str,
    node_id: str | None,
    reason: str | None,
    decision_schema: dict[str, Any] | None,
) -> dict[str, Any]:
    """Give what a ``run.paused`` tells; what is None is left out."""
    if decision_schema is not None:
        check_schema(decision_schema)
    data = {"state": state, "resume_at": resume_at, "on_expiry": on_expiry}
    given = {"node_id": node_id, "reason": reason, "decision_schema": decision_schema}
    return data | {name: value for name, value in given.items() if value is not None}


def cancelling(reason: str | None, actor: str | None, attempt_id: str | None) -> Ending:
    """Say how a pause that is called off ends."""
    told = {} if reason is None else {"reason": reason}
    return Ending("cancelled", None, actor, attempt_id, told)
