"""Seals: one row for each batch, each bound to the one before, signed where there is a key."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Literal

import orjson

from eventstore.archive.layout import is_place
from eventstore.events import Position
from eventstore.sqlite import Transaction

FINGERPRINT_BYTES = 8

Kind = Literal["events", "accepted"]

_COLUMNS = (
    "sequence, kind, at_ms, positions, events, runs, heads, fingerprints, note, previous, hash, "
    "signature"
)
_INSERT = f"INSERT INTO seals ({_COLUMNS}) VALUES ({', '.join('?' * 12)})"
_LAST = f"SELECT {_COLUMNS} FROM seals ORDER BY sequence DESC LIMIT 1"
_PAGE = f"SELECT {_COLUMNS} FROM seals WHERE sequence > ? ORDER BY sequence LIMIT ?"

_KINDS = (int, str, int, str, int, int, bytes, bytes, str, bytes, bytes)
"""Of the columns but the last, which may be nothing."""

Heads = Mapping[str, tuple[int, bytes]]
"""Of each run that was touched: its last version and the chain there."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What was archived up to a moment; ``archive/schema`` says what each field is."""

    sequence: int
    kind: Kind
    at_ms: int
    positions: Mapping[int, Position]
    events: int
    runs: int
    heads: bytes
    fingerprints: bytes
    note: str
    previous: bytes
    hash: bytes
    signature: bytes | None

    @property
    def label(self) -> str:
        """Its number and hash, as people note them."""
        return f"{self.sequence}:{self.hash.hex()}"

    def content(self) -> tuple[Any, ...]:
        """Give what the hash is made over, as the columns hold it."""
        return (
            self.sequence,
            self.kind,
            self.at_ms,
            orjson.dumps({str(p.partition): p.entry_id for p in self.positions.values()}).decode(),
            self.events,
            self.runs,
            self.heads,
            self.fingerprints,
            self.note,
            self.previous,
        )

    def computed_hash(self) -> bytes:
        """Give the hash that the other fields make."""
        plain = [f.hex() if isinstance(f, bytes) else f for f in self.content()]
        return sha256(orjson.dumps(plain)).digest()

    def is_signed_with(self, key: bytes) -> bool:
        """Whether this key made the signature."""
        return isinstance(self.signature, bytes) and hmac.compare_digest(
            self.signature, _signature(key, self.hash)
        )


def first_hash(origin: str) -> bytes:
    """Give what the first seal of an archive names as the hash before; ``origin`` is the store."""
    return sha256(b"archive\n" + origin.encode()).digest()


def make_seal(
    *,
    sequence: int,
    previous: bytes,
    kind: Kind,
    at_ms: int,
    positions: Iterable[Position],
    events: int,
    heads: Heads,
    note: str = "",
    key: bytes | None,
) -> Seal:
    """Make the seal after ``previous``."""
    digest, fingerprints = sum_of(heads)
    seal = Seal(
        sequence,
        kind,
        at_ms,
        {position.partition: position for position in sorted(positions)},
        events,
        len(heads),
        digest,
        fingerprints,
        note,
        previous,
        hash=b"",
        signature=None,
    )
    made = seal.computed_hash()
    return replace(seal, hash=made, signature=None if key is None else _signature(key, made))


def sum_of(heads: Heads) -> tuple[bytes, bytes]:
    """Sum up the chains of runs: a hash over all of them, and a fingerprint of each."""
    total = sha256()
    fingerprints = bytearray()
    for run_id in sorted(heads):
        version, chain = heads[run_id]
        total.update(b"%d\n%b\n%b" % (version, run_id.encode(), chain))
        fingerprints += chain[:FINGERPRINT_BYTES]
    return total.digest(), bytes(fingerprints)


def write_seal(tx: Transaction, seal: Seal) -> None:
    """Add a seal to the archive."""
    tx.execute(_INSERT, (*seal.content(), seal.hash, seal.signature))


def last_seal(tx: Transaction) -> Seal | None:
    """Give the last seal; None for an archive without any."""
    rows = tx.execute(_LAST)
    return _read(rows[0]) if rows else None


def seals_after(tx: Transaction, sequence: int, limit: int) -> list[Seal]:
    """Give up to ``limit`` seals after one, in order."""
    return [_read(row) for row in tx.execute(_PAGE, (sequence, limit))]


def _read(row: Sequence[Any]) -> Seal:
    """Read a seal; what is of another kind than it was reads as nothing, and no hash fits that."""
    sound: list[Any] = [
        value if isinstance(value, kind) else kind()
        for value, kind in zip(row[:-1], _KINDS, strict=True)
    ]
    sequence, kind, at_ms, positions, *rest = sound
    rest.append(row[-1] if isinstance(row[-1], bytes) else None)
    return Seal(sequence, kind, at_ms, _positions(positions), *rest)


def _positions(text: str) -> dict[int, Position]:
    try:
        found = [Position.at_entry(int(p), place) for p, place in orjson.loads(text).items()]
    except (ValueError, TypeError, AttributeError):
        return {}
    return {at.partition: at for at in found} if all(map(is_place, found)) else {}


def _signature(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")
