"""``runstore restore`` and ``runstore reconcile``: deadlines that are over take their effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from replay.cli.changing import tell_append
from replay.cli.options import Command, Group
from replay.cli.output import emit, end_unread, note
from replay.cli.session import Session

if TYPE_CHECKING:
    from eventstore import SyncEventStore
    from eventstore.operations import Operations
    from eventstore.plan import Plan
    from eventstore.timers import DueTimer
    from replay import RecoveryCounts, RestoreCounts, RunContext, SyncReconciler, SyncRestorer

FAILED = "not all could be dealt with; a later one tries again"
TOGETHER = 100
"""So many deadlines are taken at a time."""
MAX_REHEARSED = 1_000
"""So many deadlines are looked at by a dry run."""


@click.group(cls=Group, invoke_without_command=True)
@click.option("--follow", is_flag=True, help="Go on until interrupted, as restore run does.")
@click.pass_context
def restore(context: click.Context, *, follow: bool) -> None:
    """Let windows that are over take effect.

    Each does so once, however many do this at the same time. Each run that goes on is printed:
    its context, as one line of JSON, for whoever works on it. A line that could not be written is
    printed again by a later restore. The counts go to stderr; with --json they are the last
    line, {"counts": ...}. Alone it does what is due, as restore once does.
    """
    if context.invoked_subcommand is None:
        _restore(context.ensure_object(Session), follow=follow, dry_run=False)


@restore.command("run")
@click.pass_obj
def restore_run(session: Session) -> None:
    """Go on until interrupted."""
    _restore(session, follow=True, dry_run=False)


@restore.command("once")
@click.option("--dry-run", is_flag=True, help="Only say what would be recorded.")
@click.pass_obj
def restore_once(session: Session, *, dry_run: bool) -> None:
    """Deal with all that is due now."""
    _restore(session, follow=False, dry_run=dry_run)


def _restore(session: Session, *, follow: bool, dry_run: bool) -> None:
    from replay import RestoreCounts, SyncRestorer  # noqa: PLC0415
    from replay.expiry import take_effect  # noqa: PLC0415

    with session.store() as store:
        if dry_run:
            _rehearse(
                session, store, lambda ops, due, now: take_effect(ops, due, now, 1), stalls=False
            )
            return
        counts = _sweep(SyncRestorer(store, _hand_over), RestoreCounts(), follow=follow)
    _print_counts(session, counts)
    if counts.errors or counts.handovers_failed:
        raise click.ClickException(FAILED)


@click.command(cls=Command)
@click.option("--follow", is_flag=True, help="Go on until interrupted.")
@click.option("--dry-run", is_flag=True, help="Only say what would be recorded.")
@click.pass_obj
def reconcile(session: Session, *, follow: bool, dry_run: bool) -> None:
    """Take runs from workers that fell silent.

    These are runs created with options.stall_after_ms that gave no sign of life for so long. Each
    is taken once, and printed as restore prints runs: its context, as one line of JSON.
    """
    from replay import RecoveryCounts, SyncReconciler  # noqa: PLC0415
    from replay.recovering import recover  # noqa: PLC0415

    with session.store() as store:
        if dry_run:
            _rehearse(session, store, lambda ops, due, _now: recover(ops, due, 1), stalls=True)
            return
        counts = _sweep(SyncReconciler(store, _hand_over), RecoveryCounts(), follow=follow)
    _print_counts(session, counts)
    if counts.failed:
        raise click.ClickException(FAILED)


def _sweep(service: SyncRestorer | SyncReconciler, counts: Any, *, follow: bool) -> Any:
    if follow:
        service.run()
    while True:
        done = service.run_once(TOGETHER)
        counts.add(done)
        if done.scanned < TOGETHER:  # what becomes due from now on is for the next one
            return counts


def _rehearse(
    session: Session,
    store: SyncEventStore,
    effect: Callable[[Operations, DueTimer, int], Plan[Any]],
    *,
    stalls: bool,
) -> None:
    """Say what the deadlines that are over would lead to; none of them is taken."""
    from eventstore.appends import Append  # noqa: PLC0415
    from replay.expiry import Handover  # noqa: PLC0415
    from replay.rehearsal import look_at_due, rehearse  # noqa: PLC0415

    operations = store.operations
    due, now_ms = store.perform(look_at_due(operations, MAX_REHEARSED, stalls=stalls))
    for timer in due:
        result = store.perform(rehearse(operations, effect(operations, timer, now_ms)))
        if isinstance(result, Append):
            tell_append(session, result)
        elif isinstance(result, Handover):
            note(f"would hand on {result.context.run_id}")
    if not due:
        note("nothing is due")
    if len(due) == MAX_REHEARSED:
        note(f"there may be more: {MAX_REHEARSED:,} deadlines were looked at")


def _hand_over(context: RunContext) -> None:
    try:
        emit(context)
    except BrokenPipeError:
        end_unread()  # not an error of the run's worker: the run is handed over again, later


def _print_counts(session: Session, counts: RestoreCounts | RecoveryCounts) -> None:
    if not session.as_json:
        note(str(counts))
        return
    late = counts.lateness
    told = {"median_ms": late.quantile_ms(0.5), "p99_ms": late.quantile_ms(0.99)}
    emit({"counts": counts.numbers | {"lateness": told | {"max_ms": late.max_ms}}})
