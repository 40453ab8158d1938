"""Racers for runs with several pauses open at a time: each is a branch with a worker of its own."""

from __future__ import annotations

from eventstore import NewEvent, RunClosed, WrongExpectedVersion
from pausing.mixture import Racer, terms_of
from replay import RunContext

BRANCHES = ("p0", "p1", "p2")


class BranchRacer(Racer):
    """Acts on one branch after the other; a worker appends one event to its branch."""

    def act(self, run_id: str) -> None:
        """Do anything that may end the pause of one of the run's branches."""
        self._pause_id = self._chance.choice(BRANCHES)
        super().act(run_id)

    def enter(self, run_id: str, version: int, step: int) -> None:  # noqa: ARG002 - as in Racer
        """Let all branches of a run pause."""
        for number in range(step, len(BRANCHES)):
            terms = terms_of(self._seed, run_id, number)
            pause_id = terms["pause_id"]
            expiring = terms["on_expiry"] if number == 0 else "restore"
            self._control.pause(run_id, **{**terms, "on_expiry": expiring, "resume_at": pause_id})

    def work(self, context: RunContext) -> None:
        """Be the worker that goes on with a branch, unless it has one."""
        data = {"node_id": context.pause_id, "worker": self._name}
        version = context.version
        while True:
            try:
                self._store.append(context.run_id, NewEvent("node.started", data), expected=version)
            except WrongExpectedVersion as moved:
                later = self._store.load(context.run_id, after=context.version)
                if any(event.data.get("node_id") == context.pause_id for event in later):
                    return
                version = moved.actual
            except RunClosed:
                return
            else:
                break
        self._tell("worked", context.run_id, version + 1)
