"""What is wrong with consumer groups: for ``doctor``."""

from __future__ import annotations

from eventstore import Settings
from eventstore.decoding import Decoder
from eventstore.groups.status import GroupStatus
from eventstore.groups.status.looking import list_groups
from eventstore.keys import Keys
from eventstore.operations import Operations
from eventstore.transport.lines import BlockingLine
from replay.cli.group_advice import next_steps, stalls
from replay.cli.server_check import perform


def examine_groups(line: BlockingLine, keys: Keys) -> tuple[int, list[str], list[str]]:
    """Give how many groups there are, what is to be put right, and what may be next."""
    operations = Operations(keys, Decoder(), Settings.from_environment())
    groups = perform(line, list_groups(operations))
    wrong = [finding for group in groups for finding in _wrong_with(group)]
    hints = [f"group {group.name}: {step}" for group in groups for step in next_steps(group)]
    if hints or wrong:
        hints.append("more of each: runstore groups show GROUP")
    return len(groups), wrong, hints


def _wrong_with(group: GroupStatus) -> list[str]:
    findings = [
        f"group {group.name}, partition {partition}: {problem}"
        for partition, problem in group.problems.items()
    ]
    return findings + [f"group {group.name} is {stall}" for stall in stalls(group)]
