"""What differs between two states is told place by place, and nothing else is."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from histories import objects
from hypothesis import given
from replaying import travel

from eventstore import InvalidArgument, NewEvent, RunNotFound
from replay.timetravel import Change, differences


def told(old: Any, new: Any) -> list[tuple[str, str, Any, Any]]:
    return [(one.pointer, one.kind, one.old, one.new) for one in differences(old, new)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [("/a", "changed", 1, 2)]),
        ({"a": 1}, {"b": 1}, [("/a", "removed", 1, None), ("/b", "added", None, 1)]),
        ({"a": None}, {}, [("/a", "removed", None, None)]),
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}, [("/a/b/1/c", "changed", 2, 3)]),
        ([1, 2, 3], [1], [("/1", "removed", 2, None), ("/2", "removed", 3, None)]),
        ([], [1], [("/0", "added", None, 1)]),
        ({"a": 1}, {"a": True}, [("/a", "changed", 1, True)]),
        ({"a": 1}, {"a": 1.0}, [("/a", "changed", 1, 1.0)]),
        ({"a": {}}, {"a": []}, [("/a", "changed", {}, [])]),
        ({"x/y": {"~": 1}}, {"x/y": {"~": 2}}, [("/x~1y/~0", "changed", 1, 2)]),
        (1, 2, [("", "changed", 1, 2)]),
    ],
)
def test_each_place_is_told(old: Any, new: Any, expected: list[Any]) -> None:
    assert told(old, new) == expected


@given(old=objects, new=objects)
def test_the_changes_lead_from_one_to_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    made: Any = copy.deepcopy(old)
    changes = list(differences(old, new))
    added = [one for one in changes if one.kind == "added"]
    # What goes from a list goes from its end, what comes is put there in order.
    for change in [*reversed([one for one in changes if one not in added]), *added]:
        apply(made, change)
    assert made == new
    assert not list(differences(made, new))


def apply(value: Any, change: Change) -> None:
    *way, last = change.path
    for step in way:
        value = value[step]
    if change.kind == "removed":
        del value[last]
    elif change.kind == "added" and isinstance(value, list):
        value.append(change.new)
    else:
        value[last] = change.new


async def test_a_run_is_compared_between_versions(any_store: Any) -> None:
    patches = [{"a": 1, "b": {"c": 1}}, {"b": {"c": 2}}]
    await any_store.append("run", [NewEvent("run.patched", {"patch": patch}) for patch in patches])
    changes = await travel(any_store).diff("run", 1, 2)
    assert {one.pointer: (one.old, one.new) for one in changes if one.path[0] == "state"} == {
        "/state/b/c": (1, 2)
    }
    assert await travel(any_store).diff("run", 1, 1) == []
    # and the other way round, and with how it is now
    back = await travel(any_store).diff("run", 2, 0)
    assert ("/state/a", "removed") in {(one.pointer, one.kind) for one in back}
    assert await travel(any_store).diff("run", 2) == []


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
async def test_what_cannot_be_compared_is_refused(any_store: Any) -> None:
    await any_store.append("run", NewEvent("run.created"))
    with pytest.raises(InvalidArgument, match="no version 2"):
        await travel(any_store).diff("run", 1, 2)
    with pytest.raises(RunNotFound):
        await travel(any_store).diff("nobody", 0, 0)
