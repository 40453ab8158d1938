"""What differs between two states, place by place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One place that differs: keys and list indexes lead to it from the state's top.

    ``old`` is None where the place was added, ``new`` where it was removed; ``kind`` tells that
    from a None that is there.
    """

    path: Path
    kind: Literal["added", "removed", "changed"]
    old: Any
    new: Any

    @property
    def pointer(self) -> str:
        """The path as a JSON Pointer (RFC 6901), such as ``/state/orders/0``."""
        return "".join("/" + str(p).replace("~", "~0").replace("/", "~1") for p in self.path)


def differences(old: Any, new: Any, path: Path = ()) -> Iterator[Change]:
    """Walk two JSON values and give what differs, in the order of the paths.

    Numbers of another kind differ: 1 is not 1.0, and neither is true.
    """
    if isinstance(old, list) and isinstance(new, list):
        old, new = dict(enumerate(old)), dict(enumerate(new))
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            place = (*path, key)
            if key not in new:
                yield Change(place, "removed", old[key], None)
            elif key not in old:
                yield Change(place, "added", None, new[key])
            else:
                yield from differences(old[key], new[key], place)
    elif old != new or type(old) is not type(new):
        yield Change(path, "changed", old, new)
