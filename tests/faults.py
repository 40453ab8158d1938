"""Faults as ordinary objects: killed processes, shims, and waiting for what follows."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Self, TypeVar

T = TypeVar("T")
PROJECT = Path(__file__).resolve().parent.parent
TESTS = Path(__file__).resolve().parent
SHIMS = Path(__file__).with_name("shims")
LOOK_EVERY_S = 0.005


class MissingError(Exception):
    """Something that a test needs is not installed here, or not allowed."""


def eventually(condition: Callable[[], T], within_s: float = 30.0) -> T:
    """Wait until the condition gives something true, and give that; fail after ``within_s``."""
    deadline = time.monotonic() + within_s
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {within_s} s in vain"
        time.sleep(LOOK_EVERY_S)
    return result


async def soon(condition: Callable[[], T], within_s: float = 30.0) -> T:
    """Wait as ``eventually`` does, and let the other tasks go on meanwhile."""
    deadline = time.monotonic() + within_s
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {within_s} s in vain"
        await asyncio.sleep(LOOK_EVERY_S)
    return result


class Python:
    """A Python process of a test, which can be killed. Use it in a ``with`` statement.

    It runs ``code`` with ``arguments`` as ``sys.argv[1:]`` and shows what it prints.
    """

    def __init__(self, code: str, *arguments: object, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            cwd=PROJECT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def line(self) -> str:
        """The next line that it prints; fails when there is none."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the process ended with {self._process.wait(10)}"
        return line.rstrip("\n")

    def tell(self, line: str = "") -> None:
        """Send it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def kill(self) -> list[str]:
        """End it with SIGKILL; give what it had printed and nobody read yet, whole lines only."""
        self._process.send_signal(signal.SIGKILL)
        rest = self._rest()
        return rest[: rest.rfind("\n") + 1].splitlines()

    def finish(self, within_s: float = 60) -> list[str]:
        """Wait for its good end after its last word; give the lines that nobody read yet."""
        rest = self._rest()
        code = self._process.wait(within_s)
        assert code == 0, f"the process ended with {code}"
        return rest.splitlines()

    def _rest(self) -> str:
        # Not communicate(): it would not see what line() has buffered.
        assert self._process.stdout is not None
        return self._process.stdout.read()


def steps_survived(module: str, *arguments: object, folder: Path = PROJECT) -> int:
    """Run a module of the tests that is killed at each of its steps; give how many there were.

    It fails where a kill left a trace. ``folder`` is where it works.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{PROJECT}:{TESTS}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def run_python(
    code: str, *arguments: object, kill_when: Callable[[str], bool] = lambda _: False
) -> list[str]:
    """Run a Python process and give the lines it prints.

    The first line for which ``kill_when`` holds gets it killed with SIGKILL; else it must end
    well by itself.
    """
    lines: list[str] = []
    with Python(code, *arguments) as process:
        assert process._process.stdout is not None
        for line in process._process.stdout:
            lines.append(line.rstrip("\n"))
            if kill_when(lines[-1]):
                return lines + process.kill()
        process.finish()
    return lines


@cache
def compile_shim(name: str) -> Path:
    """Compile a library of ``shims``, for a server's ``preload``. Raises ``MissingError``."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        raise MissingError("no C compiler is installed here")
    built = Path(tempfile.gettempdir()) / f"runstore-shims-{os.getuid()}" / f"{name}.so"
    built.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = built.with_suffix(f".{os.getpid()}")
    source = str(SHIMS / f"{name}.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(fresh), source, "-ldl"], check=True)
    fresh.replace(built)
    return built
