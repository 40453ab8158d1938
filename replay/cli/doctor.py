"""``runstore doctor``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from replay.cli.meta import installed_version
from replay.cli.options import Command
from replay.cli.output import Cell, emit, facts
from replay.cli.session import Session


@click.command(cls=Command)
@click.pass_obj
@click.pass_context
def doctor(context: click.Context, session: Session) -> None:
    """Show what is running, and what is wrong.

    Starts and changes nothing. Exits with 1 when something is wrong, with 2 when something could
    not be seen.
    """
    from replay.cli.checkup import examine  # noqa: PLC0415

    found = examine(session)
    if session.as_json:
        emit({"runstore": installed_version(), **asdict(found)})
        context.exit(found.exit_code)
    click.echo(f"runstore {installed_version()}")
    for title in ("server", "store", "database", "archive"):
        if getattr(found, title):
            click.echo()
            _print_facts(title, getattr(found, title))
    click.echo()
    for label, findings in (
        ("wrong", found.wrong),
        ("not seen", found.unknown),
        ("hint", found.hints),
    ):
        for finding in findings:
            click.echo(f"{label}: {' '.join(finding.split())}")
    if not (found.wrong or found.unknown):
        click.echo("nothing is wrong")
    context.exit(found.exit_code)


def _print_facts(title: str, found: dict[str, Any]) -> None:
    facts([(name.replace("_", " "), _cell(value)) for name, value in found.items()], title)


def _cell(value: Any) -> Cell:
    return ("yes" if value else "no") if isinstance(value, bool) else value
