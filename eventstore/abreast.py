"""Plans side by side: what they ask for at the same time travels together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from eventstore.appends import Append
from eventstore.errors import RunStoreError, StoreUnavailable
from eventstore.plan import Appends, Plan, Step

T = TypeVar("T")


def abreast(plans: Sequence[Plan[T]]) -> Plan[list[T | RunStoreError]]:
    """Run plans side by side and give the result, or the error, of each.

    They take their steps together: of all that read, the commands go out in one exchange, of all
    that append, the appends. Raises ``StoreUnavailable`` as soon as one of them does.
    """
    runners = [_Runner(plan) for plan in plans]
    while waiting := [runner for runner in runners if not runner.done]:
        reading = [runner for runner in waiting if isinstance(runner.step, (list, tuple))]
        appending = [runner for runner in waiting if isinstance(runner.step, Append)]
        yield from _read(reading)
        yield from _append(appending)
        for runner in waiting:
            if runner not in reading and runner not in appending:
                yield from _alone(runner)
    return [runner.outcome for runner in runners]


def _read(runners: Sequence[_Runner[Any]]) -> Plan[None]:
    commands = [command for runner in runners for command in runner.step]  # type: ignore[union-attr]
    if not commands:
        return
    try:
        replies = yield commands
    except StoreUnavailable:
        raise
    except RunStoreError:  # one reply cannot be read; whose it is shows when each asks alone
        for runner in runners:
            yield from _alone(runner)
        return
    begin = 0
    for runner in runners:
        end = begin + len(runner.step)  # type: ignore[arg-type]
        runner.go_on(replies[begin:end])
        begin = end


def _append(runners: Sequence[_Runner[Any]]) -> Plan[None]:
    if not runners:
        return
    outcomes = yield Appends([runner.step for runner in runners])  # type: ignore[misc]
    for runner, outcome in zip(runners, outcomes, strict=True):
        if isinstance(outcome, StoreUnavailable):
            raise outcome
        runner.go_on(outcome)


def _alone(runner: _Runner[Any]) -> Plan[None]:
    try:
        result = yield runner.step
    except StoreUnavailable:
        raise
    except RunStoreError as error:
        result = error
    runner.go_on(result)


class _Runner(Generic[T]):
    """A plan, the step that it waits for, and what came of it."""

    def __init__(self, plan: Plan[T]) -> None:
        self._plan = plan
        self.step: Step = ()
        self.done = False
        self.outcome: T | RunStoreError
        self._follow(lambda: next(plan))

    def go_on(self, result: Any) -> None:
        """Send the plan what its step gave; an error is thrown into it."""
        if isinstance(result, RunStoreError):
            self._follow(lambda: self._plan.throw(result))
        else:
            self._follow(lambda: self._plan.send(result))

    def _follow(self, advance: Callable[[], Step]) -> None:
        try:
            self.step = advance()
        except StopIteration as finished:
            self.done, self.outcome = True, finished.value
        except RunStoreError as error:
            self.done, self.outcome = True, error
