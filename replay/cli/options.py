"""The options that every command takes, and the kinds of values there are."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from replay.cli.session import Session

MAX_PARTITIONS = 1024


def global_options(*, shown: bool) -> list[click.Parameter]:
    """Make the options that may stand before and after a command's name.

    Those after it are not shown again, and read no variables: what was said before it holds.
    """

    def option(*names: str, variable: str | None = None, **details: Any) -> click.Option:
        return click.Option(
            names,
            expose_value=False,
            callback=_remember,
            hidden=not shown,
            envvar=variable if shown else None,
            show_envvar=shown and variable is not None,
            **details,
        )

    folder = click.Path(file_okay=False, path_type=Path)
    database = click.Path(dir_okay=False, path_type=Path)
    return [
        option(
            "--url",
            variable="RUNSTORE_REDIS_URL",
            metavar="URL",
            help="The server; without one, the embedded server of the folder.",
        ),
        option("--namespace", metavar="NAME", help="The store on that server: runs by default."),
        option("--folder", type=folder, help="The embedded server's folder: .runstore by default."),
        option(
            "--database",
            variable="RUNSTORE_DATABASE",
            type=database,
            help="The database of projections: FOLDER/NAMESPACE.db by default; needed with a URL.",
        ),
        option(
            "--archive",
            variable="RUNSTORE_ARCHIVE",
            type=database,
            help="The archive: FOLDER/NAMESPACE.archive.db by default; needed with a URL.",
        ),
        option(
            "--partitions",
            type=click.IntRange(1, MAX_PARTITIONS),
            help="For a new store, 16 by default; one that exists keeps its number.",
        ),
        option("--json", "as_json", is_flag=True, help="Print JSON, for programs."),
    ]


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    session = context.ensure_object(Session)
    name = parameter.name or ""
    if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
        setattr(session, name, value)


class Command(click.Command):
    """A command that takes the global options too."""

    def __init__(self, *args: Any, **details: Any) -> None:
        super().__init__(*args, **details)
        self.params += global_options(shown=False)


class Group(click.Group):
    """A group of such commands, which takes the global options as well."""

    command_class = Command
    shows_options = False

    def __init__(self, *args: Any, **details: Any) -> None:
        super().__init__(*args, **details)
        self.params += global_options(shown=self.shows_options)


if TYPE_CHECKING:
    _Kind = click.ParamType[Any]
else:
    _Kind = click.ParamType  # older versions of click have no kinds of kinds


class Moment(_Kind):
    """A time: ISO 8601, in UTC where it names no zone."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read it."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; use 2012-05-22 or 2012-05-22T10:30:00Z", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class VersionOrMoment(Moment):
    """A version of a run, which is a whole number; or a time."""

    name = "version|time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        text = str(value)
        if text.removeprefix("-").isdecimal():
            if text.startswith("-"):
                self.fail(f"{text} is no version; versions count from 1", param, ctx)
            return int(text)
        return super().convert(value, param, ctx)


class JsonObject(_Kind):
    """A JSON object."""

    name = "json"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        """Read it."""
        if isinstance(value, dict):
            return value
        try:
            found = json.loads(value)
        except ValueError as error:
            self.fail(f"it is not JSON ({error})", param, ctx)
        if not isinstance(found, dict):
            self.fail('it must be a JSON object, such as {"approved": true}', param, ctx)
        return found


class JsonValue(_Kind):
    """Any JSON."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        try:
            return json.loads(value)
        except ValueError as error:
            self.fail(f"it is not JSON ({error}); put text into quotes", param, ctx)


class Label(_Kind):
    """A label and its value, which is JSON or else plain text."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Read it."""
        if isinstance(value, tuple):
            return value
        label, separator, text = value.partition("=")
        if not separator:
            self.fail(f"{value!r} has no '='; use NAME=VALUE", param, ctx)
        try:
            return label, json.loads(text)
        except ValueError:
            return label, text


LIMIT = click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Rows a page."
)
CURSOR = click.option("--cursor", metavar="CURSOR", help="Go on where the page before ended.")
