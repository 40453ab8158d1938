"""Why an event was set aside."""

from __future__ import annotations

from dataclasses import dataclass
from traceback import TracebackException

from eventstore.settings import Settings

MAX_KIND_CHARACTERS = 200
_CUT = "…"


@dataclass(frozen=True, slots=True)
class Failure:
    """What a handler raised in the end, and how often and since when it failed.

    - ``kind``: the name of the error's class.
    - ``deliveries``: how often the event was given to the handler, crashes included.
    - ``first_ms``, ``last_ms``: the first and the last failure, in ms since 1970.
    """

    kind: str
    message: str
    traceback: str
    deliveries: int
    first_ms: int
    last_ms: int

    @classmethod
    def of(
        cls,
        error: BaseException,
        *,
        deliveries: int,
        first_ms: int,
        last_ms: int,
        settings: Settings,
    ) -> Failure:
        """Describe an error, cut to the lengths that the settings allow.

        Works for errors that cannot be shown themselves.
        """
        told = TracebackException.from_exception(error)
        return cls(
            type(error).__qualname__[:MAX_KIND_CHARACTERS],
            _beginning(str(told), settings.max_failure_message),
            _end("".join(told.format()), settings.max_failure_traceback),
            deliveries,
            first_ms,
            last_ms,
        )

    def fields(self) -> tuple[bytes | int, ...]:
        """Give the values that the scripts take, in their order."""
        texts = (self.kind, self.message, self.traceback)
        # What is no valid Unicode, such as half of a pair, is written out: none may be lost.
        encoded = tuple(text.encode("utf-8", "backslashreplace") for text in texts)
        return (*encoded, self.deliveries, self.first_ms, self.last_ms)


def _beginning(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + _CUT


def _end(text: str, limit: int) -> str:
    return text if len(text) <= limit else _CUT + text[len(text) - limit + 1 :]
