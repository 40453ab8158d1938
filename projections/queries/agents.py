"""Questions about agents: their threads, what was said there, and by which runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from eventstore.errors import InvalidArgument
from projections.queries.base import Listing, Order, Queries, filtered
from projections.queries.conditions import Conditions, check_text, moment
from projections.queries.page import Page


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation: how many messages and runs it has, and from when to when."""

    thread_id: str
    messages: int
    runs: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody said in a thread, at ``version`` of a run. An agent is a workflow's id."""

    thread_id: str
    run_id: str
    version: int
    agent: str | None
    role: str
    actor: str | None
    at: datetime
    content: Any
    tool_calls: list[Any] | None
    tool_results: list[Any] | None


@dataclass(frozen=True, slots=True)
class AgentRun:
    """A run's part in a thread."""

    thread_id: str
    run_id: str
    agent: str | None
    messages: int
    first_at: datetime
    last_at: datetime


def _make_thread(thread_id: str, messages: int, runs: int, first_ms: int, last_ms: int) -> Thread:
    return Thread(thread_id, messages, runs, moment(first_ms), moment(last_ms))


def _make_message(
    thread_id: str,
    run_id: str,
    version: int,
    workflow_id: str | None,
    role: str,
    actor: str | None,
    occurred_ms: int,
    content: str,
    tool_calls: str | None,
    tool_results: str | None,
) -> Message:
    return Message(
        thread_id=thread_id,
        run_id=run_id,
        version=version,
        agent=workflow_id,
        role=role,
        actor=actor,
        at=moment(occurred_ms),
        content=orjson.loads(content),
        tool_calls=None if tool_calls is None else orjson.loads(tool_calls),
        tool_results=None if tool_results is None else orjson.loads(tool_results),
    )


def _make_run(
    thread_id: str, run_id: str, workflow_id: str | None, messages: int, first_ms: int, last_ms: int
) -> AgentRun:
    return AgentRun(thread_id, run_id, workflow_id, messages, moment(first_ms), moment(last_ms))


_THREADS = Listing("threads", "thread_id, messages, runs, first_ms, last_ms", _make_thread)
_MESSAGES = Listing(
    "messages",
    "thread_id, run_id, version, workflow_id, role, actor, occurred_ms, content, tool_calls, "
    "tool_results",
    _make_message,
)
_RUNS = Listing(
    "thread_runs", "thread_id, run_id, workflow_id, messages, first_ms, last_ms", _make_run
)
_LATEST_THREADS = Order(("last_ms", "thread_id"), (int, str), descending=True)
_OF_THREAD = ("occurred_ms", "run_id", "version")
_RUNS_OF_THREAD = Order(("first_ms", "run_id"), (int, str))
_RUNS_OF_AGENT = Order(("last_ms", "thread_id", "run_id"), (int, str, str), descending=True)
_RUNS_OF_RUN = Order(("thread_id",), (str,))
# The plus keeps SQLite from going through all runs of the agent for each thread.
_HAS_AGENT = """EXISTS (
    SELECT 1 FROM thread_runs r WHERE r.thread_id = threads.thread_id AND +r.workflow_id = ?)"""


class Agents(Queries):
    """What agents and people said to each other, and in which runs."""

    projection = "agents"

    @filtered
    def threads(
        self,
        *,
        agent: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Thread]:
        """List threads, the one with the latest message first, ``limit`` of 1 to 1,000 a page.

        ``agent`` took part; the latest message came from ``since`` on and before ``until``.
        Raises ``InvalidArgument`` for a value or cursor it cannot take.
        """
        conditions = Conditions()
        if agent is not None:
            conditions.add(_HAS_AGENT, check_text("agent", agent))
        conditions.between("last_ms", since, until)
        return self._page(_THREADS, conditions, _LATEST_THREADS, limit, cursor)

    @filtered
    def messages(
        self,
        thread_id: str | None = None,
        *,
        run_id: str | None = None,
        roles: str | Iterable[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        newest_first: bool = False,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Message]:
        """List the messages of a thread by time, or those of a run by version.

        Raises ``InvalidArgument`` for a value or cursor it cannot take.
        """
        if thread_id is None and run_id is None:
            raise InvalidArgument("give thread_id or run_id")
        conditions = Conditions()
        conditions.equal("thread_id", thread_id)
        conditions.equal("run_id", run_id)
        conditions.among("role", roles)
        conditions.between("occurred_ms", since, until)
        order = (
            Order(_OF_THREAD, (int, str, int), descending=newest_first)
            if run_id is None
            else Order(("version",), (int,), descending=newest_first)
        )
        return self._page(_MESSAGES, conditions, order, limit, cursor)

    @filtered
    def runs(
        self,
        *,
        thread_id: str | None = None,
        agent: str | None = None,
        run_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[AgentRun]:
        """List the runs of a thread as they joined it, or of an agent, the latest first.

        Exactly one of the three is given; ``run_id`` gives the threads of one run. Raises
        ``InvalidArgument`` for a value or cursor it cannot take.
        """
        if sum(one is not None for one in (thread_id, agent, run_id)) != 1:
            raise InvalidArgument("give one of thread_id, agent and run_id")
        conditions = Conditions()
        conditions.equal("thread_id", thread_id)
        conditions.equal("workflow_id", agent)
        conditions.equal("run_id", run_id)
        order = _RUNS_OF_RUN if run_id else _RUNS_OF_AGENT if agent else _RUNS_OF_THREAD
        return self._page(_RUNS, conditions, order, limit, cursor)
