"""Plans: store operations of more than one exchange with the server, without any I/O.

A plan is a generator. It yields what to do next and is sent the results, so that the asyncio and
the blocking store run the very same logic. Errors are thrown into it at the place they belong.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from eventstore.appends import Append
from eventstore.commands import Command

if TYPE_CHECKING:
    from eventstore.archive.archive import Archive

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wait:
    """A command that blocks at the server, on a connection of its own."""

    command: Command[Any]


@dataclass(frozen=True, slots=True)
class Recall:
    """A look into the archive. It gives None where there is none (yet).

    Ask Redis first, then the archive: what left Redis was archived before.
    """

    read: Callable[[Archive], Any]


@dataclass(frozen=True, slots=True)
class Appends:
    """Appends to send together. It gives the result or the error of each."""

    appends: Sequence[Append]


Step = Sequence[Command[Any]] | Append | Appends | Wait | Recall
"""Commands to send together (gives their results), appends, a blocking command, or a recall."""

Plan = Generator[Step, Any, T]


def single(command: Command[T]) -> Plan[T]:
    """Make the plan that is one command."""
    (result,) = yield [command]
    return result  # type: ignore[no-any-return]


def together(commands: Sequence[Command[T]]) -> Plan[list[T]]:
    """Make the plan that sends commands together."""
    return (yield commands)  # type: ignore[no-any-return]
