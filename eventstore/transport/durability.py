"""What an append waits for before it counts: the server, its disk, or its replicas."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from eventstore.appends import AppendResult
from eventstore.commands import AppendOutcome, Command
from eventstore.errors import InvalidArgument, NotDurable, ServerRefused

_FORMS = '"server", "fsync" or "replicas:N"'


@dataclass(frozen=True, slots=True)
class Durability:
    """How safe an append must be, and the command that asks for the confirmation.

    - ``server``: the server applied it.
    - ``fsync``: it is on the server's disk. With ``appendfsync always`` nothing need be asked.
    - ``replicas:N``: N replicas have it in memory (WAIT).
    """

    name: str
    command: Command[Any] | None = None
    wanted: int = 0

    @classmethod
    def parse(cls, text: str, timeout_ms: int) -> Durability:
        """Read a level. Raises ``InvalidArgument`` for an unknown one."""
        if text in ("server", "fsync"):
            return cls(text)
        match = re.fullmatch(r"replicas:([1-9][0-9]?)", text) if isinstance(text, str) else None
        if not match:
            raise InvalidArgument(f"durability must be {_FORMS}, not {text!r}", durability=text)
        wanted = int(match[1])
        return cls(text, Command(("WAIT", wanted, timeout_ms), int), wanted)

    def with_disk_wait(self, timeout_ms: int) -> Durability:
        """Give the level that asks the server for its disk with WAITAOF."""
        ask = Command(("WAITAOF", 1, 0, timeout_ms), lambda reply: int(reply[0]))
        return Durability(self.name, ask, 1)

    def judge(self, outcome: AppendOutcome, confirmation: Any) -> AppendOutcome:
        """Give the outcome, or ``NotDurable`` when too few confirmed it."""
        if self.command is None or not isinstance(outcome, AppendResult):
            return outcome
        failed = confirmation is None or isinstance(confirmation, Exception)
        acknowledged = 0 if failed else self.command.decode(confirmation)
        if acknowledged >= self.wanted:
            return outcome
        return NotDurable(outcome.run_id, self.name, acknowledged, outcome)


def waits_for_disk(version: tuple[int, ...], *, valkey: bool) -> bool:
    """Say whether WAITAOF keeps its word under ``everysec`` on this server.

    It returns too early on Valkey up to 9.1 and on Redis 7.4.0 to 7.4.2; Redis has it since 7.2.
    """
    return not valkey and version >= (7, 2) and not (7, 4) <= version < (7, 4, 3)


def disk_refusal(fsync: str) -> ServerRefused:
    """Say that this server cannot promise its disk."""
    return ServerRefused(
        f'durability="fsync" needs appendonly yes and appendfsync always; this server has '
        f"{fsync}. Set it, or open the store with another durability"
    )
