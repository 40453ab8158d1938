"""The processes of a demo: started, killed on purpose, and all gone in the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import replay
from eventstore.settings import URL_VARIABLE

LEAVE_WITHIN_S = 5.0
TAIL_LINES = 5


class Crew:
    """Processes by name. Each writes what it has to say to ``<name>.log`` in ``logs``.

    They leave when their standard input ends, which also happens when this process is killed.
    """

    def __init__(self, logs: Path) -> None:
        self.killed: list[str] = []
        self._logs = logs
        self._logs.mkdir(parents=True, exist_ok=True)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, module: str, *arguments: str | Path) -> None:
        """Start ``python -m module`` with arguments."""
        with self._log(name).open("wb") as log:
            self._processes[name] = subprocess.Popen(  # noqa: S603 - our own modules
                [sys.executable, "-P", "-m", module, *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the parent, which lets them leave
            )

    def kill(self, name: str) -> None:
        """End a process with SIGKILL: it gets no chance to tidy up."""
        process = self._processes[name]
        process.kill()
        process.wait()
        self.killed.append(name)

    def runs(self, name: str) -> bool:
        """Say whether a process is there."""
        process = self._processes.get(name)
        return process is not None and process.poll() is None

    def lost(self) -> list[str]:
        """Tell of those that ended without being killed, with the last they had to say."""
        return [
            f"{name} ended with {process.returncode}: {self._tail(name)}"
            for name, process in self._processes.items()
            if process.poll() is not None and name not in self.killed
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes.values():
            if process.stdin:
                process.stdin.close()
        for process in self._processes.values():
            try:
                process.wait(LEAVE_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _tail(self, name: str) -> str:
        return "\n".join(self._log(name).read_text(errors="replace").splitlines()[-TAIL_LINES:])


def _environment() -> dict[str, str]:
    """Let the processes run this very code, on the folder's own server whatever else is set."""
    code = str(Path(replay.__file__).parent.parent)
    paths = [code, *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {name: value for name, value in os.environ.items() if name != URL_VARIABLE}
    return kept | {"PYTHONPATH": os.pathsep.join(paths)}
