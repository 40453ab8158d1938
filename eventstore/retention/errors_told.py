"""What consumer groups keep of errors may tell of a run's content: it goes with the run."""

from __future__ import annotations

from collections.abc import Sequence

from eventstore.keys import Keys
from eventstore.plan import Plan
from eventstore.retention import commands


def forget_errors(keys: Keys, run_ids: Sequence[str]) -> Plan[int]:
    """Forget what groups were told by errors in these runs; gives how many parkings that were.

    The runs stay set aside, so that each group still gets what comes after.
    """
    if not run_ids:
        return 0
    (groups,) = yield [commands.group_names(keys)]
    calls = [commands.blank(keys, group, run_id) for group in groups for run_id in run_ids]
    done = (yield calls) if calls else []
    return sum(done)
