"""About the command line itself: its version, and completion for shells."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import get_completion_class

from replay.cli.options import Command
from replay.cli.session import CannotDo


def _print_version(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
    if not value or context.resilient_parsing:
        return
    click.echo(f"runstore {installed_version()}")
    context.exit()


def installed_version() -> str:
    """Give the version of this package."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("runstore")
    except PackageNotFoundError:
        return "from a folder of sources"


show_version = click.Option(
    ["--version"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    For bash, put this into ~/.bashrc: eval "$(runstore completion bash)"
    """
    made = get_completion_class(shell)
    if made is None:
        raise CannotDo(f"this version of click has no completion for {shell}")
    root = context.find_root().command
    click.echo(made(root, {}, "runstore", "_RUNSTORE_COMPLETE").source())
