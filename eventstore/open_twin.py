"""Filling frozen dataclasses fast, where very many are made."""

from __future__ import annotations

from dataclasses import fields, make_dataclass
from typing import Any


def open_twin(frozen: type) -> Any:
    """Make an open class of the same layout as a frozen dataclass with slots.

    A frozen dataclass sets each field through ``object.__setattr__``. Filling an instance of its
    open twin, and then making its ``__class__`` the frozen one, takes half of the time or less.
    """
    return make_dataclass(f"Open{frozen.__name__}", [f.name for f in fields(frozen)], slots=True)
