"""Resume tokens: a link in a mail is enough to answer a pause, once, in time.

A token is ``<content>.<signature>``, both base64url without padding. The content names the run, the
pause, the version at which it began and the deadline; the signature is HMAC-SHA256 over the
content's text, so that no other spelling of the same bytes is taken.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass

import orjson

from eventstore import InvalidArgument, WrongToken

TOKEN_KEY_VARIABLE = "RUNSTORE_TOKEN_KEY"  # noqa: S105 - its name, not its value
MIN_KEY_BYTES = 16
MAX_TOKEN_CHARACTERS = 4_096
_FORM = 1


@dataclass(frozen=True, slots=True)
class Token:
    """What a resume token says. ``deadline_ms`` is in ms since 1970; None for no deadline."""

    run_id: str
    pause_id: str
    version: int
    deadline_ms: int | None


class Tokens:
    """Signs and reads the tokens of one store. Tokens of another store don't count here."""

    def __init__(self, key: bytes, identity: str) -> None:
        self._key = hashlib.sha256(b"runstore token\n" + identity.encode() + b"\n" + key).digest()

    def sign(self, token: Token) -> str:
        """Write a token, in characters that need no quoting in a URL."""
        parts = (_FORM, token.run_id, token.pause_id, token.version, token.deadline_ms)
        content = _text(orjson.dumps(parts))
        return f"{content}.{self._signature(content)}"

    def read(self, text: str) -> Token:
        """Read a token. Raises ``WrongToken`` for anything else."""
        if not isinstance(text, str) or not 0 < len(text) <= MAX_TOKEN_CHARACTERS:
            raise WrongToken
        content, _, signature = text.partition(".")
        expected = self._signature(content)
        if not hmac.compare_digest(signature.encode(errors="replace"), expected.encode()):
            raise WrongToken
        form, run_id, pause_id, version, deadline_ms = orjson.loads(_bytes(content))
        if form != _FORM:
            raise WrongToken
        return Token(run_id, pause_id, version, deadline_ms)

    def _signature(self, content: str) -> str:
        signed = content.encode(errors="replace")
        return _text(hmac.new(self._key, signed, hashlib.sha256).digest())


def token_key(given: bytes | str | None = None) -> bytes:
    """Give the key that was given, else the one in ``RUNSTORE_TOKEN_KEY``.

    Text is taken as it is. Raises ``InvalidArgument``, which never shows it.
    """
    key = os.environ.get(TOKEN_KEY_VARIABLE, "").strip() if given is None else given
    if isinstance(key, str):
        key = key.encode()
    if not key:
        raise InvalidArgument(
            f"tokens need a key: set {TOKEN_KEY_VARIABLE}, or pass token_key; make one with "
            "'openssl rand -hex 32'"
        )
    if not isinstance(key, bytes) or len(key) < MIN_KEY_BYTES:
        raise InvalidArgument(f"the token key must be {MIN_KEY_BYTES} bytes or longer")
    return key


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
