"""The real command line in a folder of its own, as a person would run it there."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Any

from faults import PROJECT

from eventstore.server import EmbeddedServer, status

PATIENCE_S = 100


class Running(subprocess.Popen[str]):
    """A command that runs. It is killed when the test fails meanwhile."""

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, *rest)


class CommandLine:
    """Runs ``runstore`` in a folder, with the embedded server there unless told otherwise."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.store_folder = folder / ".runstore"
        self.database = self.store_folder / "runs.db"

    def start(
        self, *arguments: object, stdin: IO[bytes] | int | None = None, **environment: str
    ) -> Running:
        """Start a command; its output is text, to be read through pipes."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("RUNSTORE_")}
        return Running(
            [sys.executable, "-m", "replay", *map(str, arguments)],
            cwd=self.folder,
            env={**inherited, "PYTHONPATH": str(PROJECT), **environment},
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *arguments: object, stdin: IO[bytes] | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever that is."""
        with self.start(*arguments, stdin=stdin, **environment) as process:
            out, err = process.communicate(timeout=PATIENCE_S)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def text(self, *arguments: object, **details: Any) -> str:
        """Run a command that must succeed; give what it prints."""
        done = self.run(*arguments, **details)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments: object, **details: Any) -> Any:
        """Run a command that must succeed with ``--json``; give the object it prints."""
        return json.loads(self.text(*arguments, "--json", **details))

    def items(self, *arguments: object) -> list[Any]:
        """Run a command that lists; give the items of all its pages."""
        found, cursor = [], []
        while True:
            page = self.json(*arguments, "--limit", 1_000, *cursor)
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            cursor = ["--cursor", page["next_cursor"]]

    def lines(self, *arguments: object, **details: Any) -> list[Any]:
        """Run a command that must succeed and prints JSON lines."""
        return list(map(json.loads, self.text(*arguments, **details).splitlines()))

    def write(self, name: str, lines: list[dict[str, Any]]) -> Path:
        """Write a file of JSON lines into the folder."""
        path = self.folder / name
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    def projected(self) -> int:
        """How many events are projected, by a look past the code that is tested."""
        with (
            suppress(sqlite3.OperationalError),  # there is no file, or no table in it yet
            closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection,
        ):
            query = "SELECT coalesce(sum(events), 0) FROM positions WHERE projection = 'runs'"
            return int(connection.execute(query).fetchone()[0])
        return 0

    def close(self) -> None:
        """Stop a server whose users were killed."""
        if status(self.store_folder) is not None:
            EmbeddedServer.join(self.store_folder).leave()
