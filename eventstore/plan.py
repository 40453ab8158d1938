"""Plans: store operations of more than one exchange with the server, without any I/O.

A plan is a generator. It yields what to do next and is sent the results, so that the asyncio and
the blocking store run the very same logic. Errors are thrown into it at the place they belong.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from eventstore.appends import Append
from eventstore.commands import Command

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wait:
    """A command that blocks at the server, on a connection of its own."""

    command: Command[Any]


Step = Sequence[Command[Any]] | Append | Wait
"""Commands to send together (gives their results), an append, or a blocking command."""

Plan = Generator[Step, Any, T]
