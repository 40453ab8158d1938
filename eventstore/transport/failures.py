"""What redis-py raises, translated once into what callers act on."""

from __future__ import annotations

import re

from redis import exceptions as redis_errors

from eventstore.errors import RunStoreError, ServerRefused, StoreUnavailable

BROKEN = (redis_errors.RedisError, OSError, EOFError)
ERROR_REPLIES = (
    redis_errors.ResponseError,
    redis_errors.BusyLoadingError,
    redis_errors.AuthenticationError,
    redis_errors.AuthorizationError,
)
"""Errors that are a reply: the server is there and the line is sound."""
NOT_NOW = {
    "LOADING",
    "READONLY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "BUSY",
    "NOREPLICAS",
    "NOSCRIPT",
}
"""Codes that say: nothing was done, ask again soon (a restart, a failover, a long script)."""

_HINTS = {
    "OOM": "the server is out of memory: raise maxmemory, or let retention trim",
    "MISCONF": "the server cannot write to its disk: make room, then try again",
    "NOAUTH": "the server wants a password: put it into the URL",
    "WRONGPASS": "wrong user or password in the URL",
    "NOPERM": "the server's ACL forbids a command that is needed; see the README for the ACL",
    "WRONGTYPE": "a key of this namespace holds something else: use a namespace of its own",
}


_KINDS: dict[type[Exception], str] = {
    redis_errors.BusyLoadingError: "LOADING",
    redis_errors.NoScriptError: "NOSCRIPT",
    redis_errors.ReadOnlyError: "READONLY",
    redis_errors.OutOfMemoryError: "OOM",
    redis_errors.NoPermissionError: "NOPERM",
    redis_errors.AuthenticationError: "NOAUTH",
}
_CODE = re.compile(rf"(?:^|[ -])({'|'.join(sorted(NOT_NOW | _HINTS.keys()))})\b")


class ConnectionLost(Exception):  # a state of the line, never shown to users
    """The line broke. ``sent`` says whether the server may have seen the calls."""

    def __init__(self, cause: Exception, *, sent: bool) -> None:
        super().__init__(type(cause).__name__)
        self.cause = cause
        self.sent = sent


def is_not_now(reply: object) -> bool:
    """Say whether an error reply means: nothing was done, try again soon."""
    if not isinstance(reply, Exception):
        return False
    return _code_of(reply) in NOT_NOW


def refusal_of(error: Exception) -> ServerRefused:
    """Turn an error reply into ``ServerRefused``, with a hint where one is known."""
    text = str(error)[:200]
    hint = _HINTS.get(_code_of(error), "see the server's log")
    return ServerRefused(f"the server refused: {hint} ({text})", reply=text)


def connecting_failed(error: Exception) -> RunStoreError | None:
    """Give the final error for a connection that can never be made, or None to try again."""
    if isinstance(error, (redis_errors.AuthenticationError, redis_errors.AuthorizationError)):
        return ServerRefused("the server refused: wrong user or password in the URL")
    if isinstance(error, redis_errors.ResponseError):
        return refusal_of(error)
    return None


def unavailable(shown: str, error: Exception, timeout_ms: int) -> StoreUnavailable:
    """Say that a server could not be reached in time."""
    return StoreUnavailable(
        f"no usable server at {shown} within {timeout_ms} ms "
        f"({type(error).__name__}: {str(error)[:200]}); is it running and reachable?",
        url=shown,
        timeout_ms=timeout_ms,
    )


def _code_of(error: Exception) -> str:
    """Give the code of an error reply.

    redis-py cuts it off some replies, and Redis 6.2 puts text before it when a script ran into
    the error.
    """
    for kind, code in _KINDS.items():
        if isinstance(error, kind):
            return code
    found = _CODE.search(str(error))
    return found[1] if found else ""
