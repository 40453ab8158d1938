"""What all errors are, and how they show values."""

from __future__ import annotations

from typing import Any


class RunStoreError(Exception):
    """Any error of the run store. Its data are attributes; it survives pickling."""

    def __init__(self, message: str, **data: Any) -> None:
        super().__init__(message)
        self.__dict__.update(data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))


def _rebuild(kind: type[RunStoreError], args: tuple[Any, ...], data: dict[str, Any]) -> Any:
    """Make an unpickled error without calling its own constructor."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(data)
    return error


def short(value: object, limit: int = 80) -> str:
    """Show any value in a message: quoted, and cut when long."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
