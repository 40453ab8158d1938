"""What words are: texts are folded the same way when they are stored and when they are sought.

A word is what letters and digits make up; case and accents do not matter. Folded text holds each
word between spaces, so that looking for ``' word '`` and a full-text search find the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from eventstore.errors import InvalidArgument

MAX_TEXT_CHARACTERS = 20_000
"""How much of an event's text can be searched."""
MAX_WORDS = 20
"""The most words that one search takes."""

_WORD = re.compile(r"[^\W_]+")


def folded(text: str) -> str:
    """Give the words of a text, each between spaces."""
    if not text.isascii():
        spread = unicodedata.normalize("NFKD", text)
        text = "".join(letter for letter in spread if not unicodedata.combining(letter))
    found = _WORD.findall(text.casefold())
    return f" {' '.join(found)} " if found else ""


def words_of(data: Any) -> str:
    """Give the folded words of all texts in an event's data, its keys left out."""
    return folded(" ".join(_some(_texts(data))))


def asked_words(text: str) -> list[str]:
    """Give the words of a question, each once; where only its beginning is asked, with a ``*``.

    Raises ``InvalidArgument`` if there are none, or too many.
    """
    found: list[str] = []
    for token in text.split():
        words = folded(token).split()
        if words and token.endswith("*"):
            words[-1] += "*"
        found += [word for word in words if word not in found]
    if not 1 <= len(found) <= MAX_WORDS:
        raise InvalidArgument(
            f"text needs 1 to {MAX_WORDS} words of letters or digits, this has {len(found)}"
        )
    return found


def matching(words: Iterable[str]) -> str:
    """Write words as a full-text question: all must be there."""
    return " ".join(f'"{word[:-1]}"*' if word[-1] == "*" else f'"{word}"' for word in words)


def any_begins(words: Iterable[str]) -> bool:
    """Say whether of some word only its beginning is asked."""
    return any(word[-1] == "*" for word in words)


def parts(words: Iterable[str]) -> list[str]:
    """Write words as the parts of a folded text that show them, one each."""
    return [f" {word[:-1]}" if word[-1] == "*" else f" {word} " for word in words]


def holds(text: str, words: Iterable[str]) -> bool:
    """Say whether a folded text has all the words."""
    return all(
        f" {word[:-1]}" in text if word[-1] == "*" else f" {word} " in text for word in words
    )


def _texts(value: Any) -> Iterator[str]:
    """Walk over the texts in a JSON value; its depth is bounded where it came in."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _some(texts: Iterable[str]) -> Iterator[str]:
    left = MAX_TEXT_CHARACTERS
    for text in texts:
        yield text[:left]
        left -= len(text)
        if left <= 0:
            return
