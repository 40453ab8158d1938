"""Which server to talk to: reading a URL, and showing it without its secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.connection import parse_url

from eventstore.errors import InvalidArgument

SCHEMES = "redis://, rediss://, unix:// or redis+sentinel://"
DEFAULT_SENTINEL_PORT = 26379


@dataclass(frozen=True, slots=True)
class Target:
    """A server, or the sentinels that know it. Its repr holds no secrets."""

    shown: str
    options: Mapping[str, Any] = field(repr=False)
    """Keyword arguments of a redis-py connection."""
    tls: bool = False
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str | None = None


def parse_target(url: str) -> Target:
    """Read a URL. Raises ``InvalidArgument`` for one that cannot be used."""
    if not isinstance(url, str):
        raise InvalidArgument(f"a URL is a string, not {type(url).__name__}")
    scheme = url.partition("://")[0]
    if scheme == "redis+cluster":
        raise InvalidArgument(
            "redis+cluster:// is not supported yet; keys are laid out for it, so data written "
            "now can move there. Use a single server or redis+sentinel://"
        )
    try:
        if scheme == "redis+sentinel":
            return _sentinel_target(url)
        options = dict(parse_url(url))  # type: ignore[no-untyped-call]
    except ValueError:
        raise InvalidArgument(f"cannot read the URL {redact(url)}; use {SCHEMES}") from None
    options.pop("connection_class", None)
    return Target(redact(url), options, tls=scheme == "rediss")


def _sentinel_target(url: str) -> Target:
    """Read ``redis+sentinel://[user:password@]host[:port][,host[:port]…]/service[/db]``."""
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    service, _, database = parts.path.strip("/").partition("/")
    if not hosts or not service:
        raise InvalidArgument(
            "a sentinel URL names hosts and a service: redis+sentinel://host:26379/mymaster"
        )
    options: dict[str, Any] = {"db": int(database or 0)}
    if credentials:
        user, _, password = credentials.partition(":")
        options |= {"username": unquote(user) or None, "password": unquote(password) or None}
    return Target(
        redact(url), options, sentinels=tuple(map(_host_port, hosts.split(","))), service=service
    )


def _host_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if ":" in text else (text, "", "")
    return host.strip("[]"), int(port or DEFAULT_SENTINEL_PORT)


def redact(url: str) -> str:
    """Give the URL without user, password and query, fit for messages and logs."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "(not a URL)"
    if re.search(r"[?#].*@", rest):
        return f"{scheme}://…"  # part of a password, or of the query: it can't be told
    return f"{scheme}://{re.split(r'[?#]', rest)[0].rpartition('@')[2]}"
