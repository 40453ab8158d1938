"""Events as CloudEvents 1.0, and back."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from samples import noted

from eventstore import EventStore, InvalidEvent, NewEvent, from_cloudevent, to_cloudevent

FULL = NewEvent(
    "order.placed",
    {"amount": 5, "lines": [{"text": "✓"}]},
    workflow_id="orders",
    id="event-1",
    occurred_at=datetime(2026, 2, 3, 4, 5, 6, 789_012, UTC),
    meta={"actor": "ada", "correlation_id": "c", "own": {"deep": [1]}},
    schema_version=4,
)
LEAST = {"specversion": "1.0", "id": "1", "source": "/shop/42", "type": "order.placed"}


async def test_an_event_survives_the_way_to_a_cloudevent_and_back(any_store: EventStore) -> None:
    run_id = "run/with ✓ and {odd}?#chars"
    await any_store.append(run_id, [FULL, noted()])

    for recorded in await any_store.load(run_id):
        text = orjson.dumps(to_cloudevent(recorded))
        back_run_id, back = from_cloudevent(orjson.loads(text))
        assert back_run_id == run_id
        for name in ("id", "type", "data", "meta", "workflow_id", "schema_version", "occurred_at"):
            assert getattr(back, name) == getattr(recorded, name)
        again = await any_store.append("copy", back)
        assert again.last_version == recorded.version


async def test_a_cloudevent_keeps_the_rules_of_its_specification(any_store: EventStore) -> None:
    await any_store.append("run", FULL)
    (recorded,) = await any_store.load("run")

    cloud = to_cloudevent(recorded)

    assert cloud["specversion"] == "1.0"
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in cloud)
    assert (cloud["id"], cloud["type"], cloud["runversion"]) == ("event-1", "order.placed", 1)
    assert cloud["time"] == "2026-02-03T04:05:06.789012Z"
    assert cloud["datacontenttype"] == "application/json"
    extensions = set(cloud) - {"data"}
    assert all(isinstance(cloud[name], str | int) for name in extensions)


def test_the_least_that_is_a_cloudevent_is_taken() -> None:
    run_id, event = from_cloudevent(LEAST)

    assert (run_id, event.type, event.id, event.data) == ("42", "order.placed", "1", {})
    assert (event.occurred_at, event.workflow_id, event.schema_version) == (None, None, 1)


def test_extensions_of_others_go_into_meta() -> None:
    _, event = from_cloudevent({**LEAST, "traceparent": "00-ab", "partitionkey": "k"})

    assert event.meta == {"traceparent": "00-ab", "partitionkey": "k"}


def test_the_run_is_named_by_runid_then_subject_then_source() -> None:
    assert from_cloudevent({**LEAST, "subject": "s"})[0] == "s"
    assert from_cloudevent({**LEAST, "subject": "s", "runid": "r"})[0] == "r"


@pytest.mark.parametrize(
    "wrong",
    [
        {"specversion": "0.3"},
        {"specversion": None},
        {"id": ""},
        {"id": 7},
        {"type": ""},
        {"type": "__reserved"},
        {"source": None},
        {"data_base64": "AA=="},
        {"data": [1]},
        {"data": []},
        {"data": 0},
        {"data": ""},
        {"data": False},
        {"data": "text"},
        {"time": "yesterday"},
        {"time": 7},
        {"time": "2026-01-01T00:00:00"},
        {"meta": "{"},
        {"meta": "[]"},
        {"meta": {"a": 1}},
        {"schemaversion": "1"},
        {"workflowid": ""},
    ],
)
def test_what_is_no_cloudevent_of_ours_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        from_cloudevent({**LEAST, **wrong})


@pytest.mark.parametrize("thing", [None, [], "text", 7, {}])
def test_what_is_no_object_is_refused(thing: Any) -> None:
    with pytest.raises(InvalidEvent):
        from_cloudevent(thing)
