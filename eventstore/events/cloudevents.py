"""Events as CloudEvents 1.0 (structured JSON), and back.

Rules from https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md: extension names
are lower-case letters and digits only. So what CloudEvents has no attribute for travels in the
extensions ``runid``, ``runversion``, ``workflowid``, ``schemaversion`` and ``meta`` (as JSON).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

import orjson

from eventstore.errors import InvalidEvent
from eventstore.events.new_event import NewEvent
from eventstore.events.recorded_event import RecordedEvent

_SOURCE = "/runstore/runs/"


def to_cloudevent(event: RecordedEvent) -> dict[str, Any]:
    """Give the event as a CloudEvents 1.0 object: what ``application/cloudevents+json`` holds."""
    cloud: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": _SOURCE + quote(event.run_id, safe=""),
        "type": event.type,
        "time": event.occurred_at.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": event.data,
        "runid": event.run_id,
        "runversion": event.version,
        "schemaversion": event.schema_version,
    }
    if event.workflow_id is not None:
        cloud["workflowid"] = event.workflow_id
    if event.meta:
        cloud["meta"] = orjson.dumps(event.meta).decode()
    return cloud


def from_cloudevent(cloud: Mapping[str, Any]) -> tuple[str, NewEvent]:
    """Read a CloudEvents 1.0 object into a run id and an event ready to append.

    The run id is ``runid``, else ``subject``, else the end of ``source``. Extensions that are
    not ours go into ``meta``. Raises ``InvalidEvent`` for anything that is no CloudEvent.
    """
    if not isinstance(cloud, Mapping) or cloud.get("specversion") != "1.0":
        raise InvalidEvent("not a CloudEvent of specversion 1.0")
    for name in ("id", "source", "type"):
        if not isinstance(cloud.get(name), str) or not cloud[name]:
            raise InvalidEvent(f"CloudEvent without {name}", field=name)
    if "data_base64" in cloud:
        raise InvalidEvent("CloudEvents with data_base64 are not taken; send JSON data")
    event = NewEvent(
        cloud["type"],
        cloud.get("data"),
        id=cloud["id"],
        workflow_id=cloud.get("workflowid"),
        occurred_at=_time(cloud.get("time")),
        meta=_meta(cloud),
        schema_version=cloud.get("schemaversion", 1),
    )
    return _run_id(cloud), event


_ATTRIBUTES = frozenset(
    {
        "specversion", "id", "source", "type", "time", "datacontenttype", "dataschema", "subject",
        "data", "runid", "runversion", "schemaversion", "workflowid", "meta",
    }
)  # fmt: skip


def _meta(cloud: Mapping[str, Any]) -> dict[str, Any]:
    extensions = {name: value for name, value in cloud.items() if name not in _ATTRIBUTES}
    try:
        own = orjson.loads(cloud["meta"]) if "meta" in cloud else {}
    except (orjson.JSONDecodeError, TypeError):
        own = None
    if not isinstance(own, dict):
        raise InvalidEvent("the extension meta must be a JSON object as text", field="meta")
    return extensions | own


def _run_id(cloud: Mapping[str, Any]) -> str:
    source: str = cloud["source"]
    run_id = cloud.get("runid") or cloud.get("subject") or unquote(source.rsplit("/", 1)[-1])
    return str(run_id)


def _time(text: Any) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise InvalidEvent("time is not an RFC 3339 time", field="time") from None
