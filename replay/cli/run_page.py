"""One run as a page for people to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from replay.cli.output import facts, table, to_json

if TYPE_CHECKING:
    from projections import Attempt, Call, Database, Message, Node, Pause, RunDetails

MANY = 20
"""How many calls and messages the page shows; lists show all."""


@dataclass(frozen=True, slots=True)
class RunPage:
    """All that is shown of a run."""

    run: RunDetails
    nodes: Sequence[Node]
    attempts: Sequence[Attempt]
    calls: Sequence[Call]
    pauses: Sequence[Pause]
    messages: Sequence[Message]


def read_page(database: Database, run_id: str) -> RunPage:
    """Read it. Raises ``RunNotFound``."""
    from projections import Agents, Calls, Pauses, Runs  # noqa: PLC0415
    from projections.queries.page import MAX_LIMIT  # noqa: PLC0415

    runs = Runs(database)
    return RunPage(
        run=runs.get_run(run_id),
        nodes=runs.nodes(run_id),
        attempts=runs.attempts(run_id),
        calls=Calls(database).list_calls(run_id=run_id, limit=MAX_LIMIT).items,
        pauses=Pauses(database).list_pauses(run_id=run_id, order="paused", limit=MAX_LIMIT).items,
        messages=Agents(database).messages(run_id=run_id, limit=MAX_LIMIT).items,
    )


def print_run_page(page: RunPage) -> None:
    """Print it."""
    _print_run(page.run)
    _print_nodes(page)
    _print_calls(page.calls)
    _print_pauses(page.pauses)
    _print_messages(page.messages)


def _print_run(run: RunDetails) -> None:
    facts(
        (
            ("run", run.run_id),
            ("workflow", run.workflow_id),
            ("definition", run.definition_hash),
            ("status", run.status),
            ("events", run.version),
            ("counted", _listed(run.counters)),
            ("used by calls", _listed(run.usage)),
            ("parent", run.parent),
            ("labels", to_json(run.labels) if run.labels else None),
            ("created", run.created_at),
            ("started", run.started_at),
            ("updated", run.updated_at),
            ("ended", run.ended_at),
            ("seconds from first to last", run.duration_seconds),
            ("seconds paused", run.paused_seconds),
            ("input", _value(run.input)),
            ("state", _value(run.state)),
            ("output", _value(run.output)),
            ("error", _value(run.error)),
            ("reason", run.reason),
        )
    )


def _listed(counts: Mapping[str, float]) -> str | None:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or None


def _value(value: Any) -> str | None:
    return None if value is None else to_json(value)


def _print_nodes(page: RunPage) -> None:
    if page.nodes:
        click.echo()
        table(
            ("node", "label", "status", "attempts", "started", "ended", "output or error"),
            [
                (
                    node.node_id,
                    node.label,
                    node.status,
                    node.attempts,
                    node.started_at,
                    node.ended_at,
                    _value(node.output if node.error is None else node.error),
                )
                for node in page.nodes
            ],
            "nodes",
        )
    if len(page.attempts) > len(page.nodes):
        click.echo()
        table(
            ("node", "attempt", "status", "started", "seconds", "error"),
            [
                (
                    one.node_id,
                    one.attempt,
                    one.status,
                    one.started_at,
                    one.duration_seconds,
                    _value(one.error),
                )
                for one in page.attempts
            ],
            "attempts",
        )


def _print_calls(calls: Sequence[Call]) -> None:
    if calls:
        click.echo()
        table(
            ("call", "kind", "name", "status", "started", "seconds", "used or error"),
            [
                (
                    call.call_id,
                    call.kind,
                    call.name,
                    call.status,
                    call.started_at,
                    call.duration_seconds,
                    _value(call.usage if call.error is None else call.error),
                )
                for call in calls[:MANY]
            ],
            _title("calls", calls),
        )


def _print_pauses(pauses: Sequence[Pause]) -> None:
    from eventstore.clock import system_clock  # noqa: PLC0415
    from replay.cli.pauses import status_of  # noqa: PLC0415

    now = system_clock()
    if pauses:
        click.echo()
        table(
            (
                "pause",
                "reason",
                "status",
                "paused",
                "expires",
                "until",
                "seconds",
                "cause",
                "actor",
            ),
            [
                (
                    pause.pause_id,
                    pause.reason,
                    status_of(pause, now),
                    pause.paused_at,
                    pause.expires_at,
                    pause.resumed_at or pause.ended_at,
                    pause.waited_seconds,
                    pause.cause,
                    pause.actor,
                )
                for pause in pauses
            ],
            "pauses",
        )


def _print_messages(messages: Sequence[Message]) -> None:
    if messages:
        click.echo()
        table(
            ("thread", "at", "role", "content"),
            [
                (said.thread_id, said.at, said.role, content_of(said.content))
                for said in messages[:MANY]
            ],
            _title("messages", messages),
        )


def content_of(content: Any) -> str | None:
    """Write what a message says."""
    return content if isinstance(content, str) else _value(content)


def _title(name: str, items: Sequence[Any]) -> str:
    return name if len(items) <= MANY else f"{name}, the first {MANY} of {len(items):,}"
