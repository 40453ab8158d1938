"""Histories to look at, and what is asked of the command line."""

from __future__ import annotations

import signal
import subprocess

from click.testing import CliRunner, Result
from command_line import PATIENCE_S, CommandLine

from eventstore import NewEvent, SyncEventStore
from replay import SyncRunControl
from replay.cli.main import commands


def append_run(store: SyncEventStore, number: int) -> None:
    """An order: even ones are done, the others wait for an approval; the last one forever."""
    run_id = f"order-{number}"
    labels = {"team": "blue" if number % 2 else "red", "level": number}
    created = {"input": {"n": number}, "labels": labels}
    store.append(run_id, [NewEvent("run.created", created, workflow_id="order")])
    store.append(run_id, NewEvent("node.started", {"node_id": "check", "label": "Ch\u009b2Jeck"}))
    store.append(run_id, NewEvent("node.completed", {"node_id": "check", "output": {"ok": True}}))
    if number % 2:
        SyncRunControl(store).pause(
            run_id,
            state={"step": number},
            resume_at="pay",
            window=0 if number == 1 else None,
            on_expiry="restore",
            reason="approval",
            node_id="check",
        )
    else:
        store.append(run_id, NewEvent("run.completed", {"output": number}, meta={"actor": "ann"}))


def invoke(projected: CommandLine, *arguments: str) -> Result:
    """Run a command in this process, quickly."""
    return CliRunner().invoke(commands, ["--folder", str(projected.store_folder), *arguments])


def interrupt(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, told) == (130, "")
