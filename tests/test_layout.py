"""What lies in Redis under which key: other programs and later versions read it too."""

from __future__ import annotations

import re
import zlib

import orjson
import pytest
from consistency import assert_consistent
from samples import ended, noted, paused
from servers import AnyServer

from eventstore import EventStore

ODD_NAMES = [
    "ключ-π-👩‍🚀",
    "a{b}c",
    "{",
    "*?[x]",
    "a|b",
    "50%25",
    "with space",
    "quote\"'\\",
    "x" * 200,
    "é" * 100,
    "run:head:log",
    "-1",
]


async def test_an_append_writes_a_run_a_log_a_head_and_a_tail(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    partition = zlib.crc32(b"my-run") % 16
    tag = f"{{{namespace}:{partition}}}"

    first = await any_store.append("my-run", noted("1", workflow_id="flow"), append_id="one")
    await any_store.append("my-run", noted("2"), append_id="two", idempotency_key="key")

    assert server.keys(namespace) == {
        name.encode()
        for name in (f"{namespace}:meta", f"{tag}:log", f"{tag}:tail",
                     f"{tag}:run:my-run", f"{tag}:head:my-run")
    }  # fmt: skip
    log = server.admin.xrange(f"{tag}:log")
    ids = [entry_id.decode() for entry_id, _ in log]
    assert ids[0] == first.positions[0].entry_id
    assert [re.fullmatch(r"(\d{13})-(\d)", entry_id)[2] for entry_id in ids] == ["1", "2"]  # type: ignore[index]
    assert list(log[0][1]) == [b"r", b"v", b"e", b"c", b"a"]
    assert list(log[1][1]) == [b"r", b"v", b"e", b"c", b"a", b"w"]
    assert (log[1][1][b"r"], log[1][1][b"v"]) == (b"my-run", b"2")
    assert (log[1][1][b"a"], log[1][1][b"w"]) == (b"two", b"flow")
    assert server.admin.get(f"{tag}:tail").decode() == ids[1]
    run = server.admin.xrange(f"{tag}:run:my-run")
    assert [entry_id for entry_id, _ in run] == [b"1-0", b"2-0"]
    assert list(run[0][1]) == [b"e", b"c", b"p", b"a"]
    assert [fields[b"p"].decode() for _, fields in run] == ids
    stored = orjson.loads(run[0][1][b"e"])
    assert (stored["type"], stored["data"]) == ("note.taken", {"text": "1"})
    head = server.admin.hgetall(f"{tag}:head:my-run")
    assert (head[b"v"], head[b"s"], head[b"w"]) == (b"2", b"open", b"flow")
    assert head[b"i:key"].decode().split()[:3] == ["2", "2", ids[1]]
    assert_consistent(server, namespace)


async def test_a_namespace_remembers_how_it_was_created(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    meta = server.admin.hgetall(f"{namespace}:meta")

    assert (meta[b"partitions"], meta[b"layout"]) == (b"16", b"1")
    assert meta[b"id"].decode() == any_store.identity
    assert abs(int(meta[b"created_ms"]) - server.admin.time()[0] * 1000) < 60_000


async def test_a_timer_is_named_by_kind_run_and_reference(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    result = await any_store.append("my-run", paused("p1", 5000))

    tag = f"{{{namespace}:{zlib.crc32(b'my-run') % 16}}}"
    due = [(b"window|my-run|p1", float(result.positions[0].ms + 5000))]
    assert server.admin.zrange(f"{tag}:due", 0, -1, withscores=True) == due
    await any_store.append("my-run", ended())
    assert server.admin.hget(f"{tag}:head:my-run", "s") == b"closed"


@pytest.mark.parametrize("run_id", ODD_NAMES)
async def test_a_run_may_have_any_name_that_people_give(
    any_store: EventStore, server: AnyServer, namespace: str, run_id: str
) -> None:
    await any_store.append(run_id, [noted("1"), noted("2")])
    await any_store.append("an ordinary one", noted())

    assert [event.run_id for event in await any_store.load(run_id)] == [run_id] * 2
    assert (await any_store.head(run_id)).version == 2
    assert [e.run_id async for e in any_store.read_all()].count(run_id) == 2
    assert (await any_store.wait(run_id, 2, timeout=5)).version == 2
    assert set(assert_consistent(server, namespace)) == {run_id, "an ordinary one"}
    for key in server.keys(namespace) - {f"{namespace}:meta".encode()}:
        assert re.match(rb"\{[a-z0-9-]+:\d+\}:", key), "the hash tag comes first"


async def test_scripts_write_no_payload_that_they_have_read(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    """Numbers beyond 14 digits and empty lists survive: bytes pass through untouched."""
    event = noted("x", meta={"list": [], "number": 12345678901234567, "float": 0.1 + 0.2})

    await any_store.append("run", event)

    (entry,) = assert_consistent(server, namespace)["run"]
    assert entry.fields[b"e"] == event.encoded
