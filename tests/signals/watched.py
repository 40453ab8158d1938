"""The index of watches, looked at without the store's help."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson


def entries(server: Any, namespace: str) -> list[tuple[bytes, bytes]]:
    """Give each entry with the tag of its partition."""
    keys = server.admin.scan_iter(f"{{{namespace}:*}}:watch", count=1000)
    return [
        (key[: -len(b":watch")], name) for key in keys for name in server.admin.zrange(key, 0, -1)
    ]


def assert_indexed(server: Any, namespace: str, expected: dict[str, int]) -> None:
    """Check how many entries each run has, and that heads and index tell the same."""
    found = entries(server, namespace)
    runs = Counter(orjson.loads(name.split(b"\0", 3)[3])[0] for _, name in found)
    assert runs == expected
    listed = [
        (key[: key.index(b":head:")], name)
        for key in server.admin.scan_iter(f"{{{namespace}:*}}:head:*", count=1000)
        for field, names in server.admin.hgetall(key).items()
        if field.startswith(b"w:")
        for name in names.split(b"\n")
    ]
    assert sorted(listed) == sorted(found)
