"""Errors: one tree, its data as attributes, alive after pickling, without secrets."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

import eventstore
from eventstore import AppendResult, Position, RunStoreError, errors

RESULT = AppendResult("run", 1, 1, (Position(3, 1_700_000_000_000, 7),), deduplicated=False)
EXAMPLES: dict[type[RunStoreError], tuple[Any, ...]] = {
    errors.InvalidEvent: ("nested too deep",),
    errors.InvalidRunId: ("a\nb", "must not hold control characters"),
    errors.WrongExpectedVersion: ("run", 3, 5),
    errors.IdempotencyConflict: ("run", "key", 2),
    errors.RunClosed: ("run", 9),
    errors.RunNotFound: ("run",),
    errors.PauseNotFound: ("run", "p1", ["p2"]),
    errors.AlreadyResumed: ("run", "p1", "manual", "ada"),
    errors.StateTooLarge: ("run", "draft", 900, 1_200, 1_000),
    errors.PauseExpired: ("run", "p1"),
    errors.WrongToken: (),
    errors.AnswerRejected: ("run", "p1", ["approved is missing"]),
    errors.SignalBufferFull: ("run", 100),
    errors.DefinitionChanged: ("run", "abc", "def"),
    errors.UnknownGroup: ("group", ["other"]),
    errors.HistoryGap: ("partition 3", "entry 4", "entry 7"),
    errors.LogRegressed: ("partition 3", "3:5-5", "3:4-4"),
    errors.CorruptEvent: ("version 3", "the checksum does not fit"),
    errors.NotDurable: ("run", "replicas:2", 1, RESULT),
    errors.OutcomeUnknown: ("run", "append-id", 15_000),
    errors.ImportFailed: (7, "is not JSON"),
    errors.WaitTimeout: ("what was waited for", 1.5),
}
TREE = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, RunStoreError)
]


def example(kind: type[RunStoreError]) -> RunStoreError:
    return kind(*EXAMPLES.get(kind, ("it went wrong",)))


@pytest.mark.parametrize("kind", TREE)
def test_every_error_survives_pickling_and_copying(kind: type[RunStoreError]) -> None:
    error = example(kind)

    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own
        assert type(twin) is kind
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)


@pytest.mark.parametrize("kind", TREE)
def test_every_error_is_drawn_in_the_tree_and_can_be_imported_from_the_top(
    kind: type[RunStoreError],
) -> None:
    assert kind.__name__ in (errors.__doc__ or "")
    assert getattr(eventstore, kind.__name__) is kind
    assert kind.__name__ in eventstore.__all__


def test_errors_that_python_has_a_name_for_can_be_caught_by_it() -> None:
    assert issubclass(errors.InvalidArgument, ValueError)
    assert issubclass(errors.RunNotFound, LookupError)
    assert issubclass(errors.WaitTimeout, TimeoutError)


def test_a_message_tells_the_data_and_stays_short() -> None:
    error = errors.WrongExpectedVersion("x" * 200, 3, 5)

    assert (error.expected, error.actual) == (3, 5)
    assert "version 5" in str(error)
    assert len(str(error)) < 300


def test_names_of_the_public_surface_are_real() -> None:
    for name in eventstore.__all__:
        assert hasattr(eventstore, name)
    assert list(eventstore.__all__) == list(dict.fromkeys(eventstore.__all__))
