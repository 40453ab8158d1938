"""The formats that events travel in, and how a file's name tells which one it is.

- ``jsonl``: one JSON object a line, see ``jsonl``.
- ``csv``: the same fields as columns; ``data`` and ``meta`` are JSON as text.
- ``cloudevents``: one CloudEvents 1.0 object a line, as structured JSON.
- ``parquet``: the same columns as CSV, times in UTC; needs ``pyarrow`` (the extra ``export``).
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import PurePath
from typing import Any, Literal, get_args

from eventstore.errors import InvalidArgument

Format = Literal["jsonl", "csv", "cloudevents", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)

_ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".cloudevents": "cloudevents",
    ".cloudevents.jsonl": "cloudevents",
}


def format_of(file: object) -> Format:
    """Tell a file's format by its name, with or without ``.gz``; JSON lines where it says none."""
    if not isinstance(file, (str, os.PathLike)):
        return "jsonl"
    plain = PurePath(os.fspath(file).lower().removesuffix(".gz")).name
    return next((kind for end, kind in _ENDINGS.items() if plain.endswith(end)), "jsonl")


def check_format(name: str) -> Format:
    """Give back a format; raise ``InvalidArgument`` for any other name."""
    for known in FORMATS:
        if name == known:
            return known
    raise InvalidArgument(f"format {name!r} is not known; there are {', '.join(FORMATS)}")


def arrow(part: str = "pyarrow") -> Any:
    """Give a module of pyarrow. Raises ``InvalidArgument`` where it is not installed."""
    try:
        return import_module(part)
    except ImportError:
        raise InvalidArgument(
            "Parquet needs pyarrow: pip install 'runstore[export]', or use another format"
        ) from None
