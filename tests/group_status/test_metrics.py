"""Prometheus metrics of groups: by library, printed, and served."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from command_line import CommandLine
from faults import PROJECT
from prometheus_client.parser import text_string_to_metric_families
from samples import notes
from servers import Server

from eventstore import SyncEventStore
from eventstore.groups.metrics import metrics_text
from eventstore.groups.status import SyncGroups

HIDDEN = "import sys; sys.modules['prometheus_client'] = None; "

Samples = dict[tuple[str, str, str], float]


def samples_of(text: str) -> Samples:
    """Give each value by its name, group and partition."""
    return {
        (one.name, one.labels.get("group", ""), one.labels.get("partition", "")): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


@pytest.fixture
def filled(sync_store: SyncEventStore) -> SyncEventStore:
    """A store with three events and a group."""
    sync_store.append("run", notes(3))
    SyncGroups(sync_store).create("mail")
    return sync_store


def test_metrics_tell_how_each_group_stands(
    filled: SyncEventStore, server: Server, namespace: str
) -> None:
    # given a group with a lease, pending entries, runs set aside and members
    keys, admin = filled.operations.keys, server.admin
    at = keys.partition_of("run")
    admin.hset(keys.lease(at, "mail"), mapping={"owner": "w", "epoch": 7, "until": 2**45})
    admin.zadd(keys.members("mail"), {"w": 2**45, "gone": 1_000})
    admin.xreadgroup("mail", "w", {keys.log(at): ">"}, count=2)
    admin.hset(keys.parked(at, "mail"), "run-id-of-somebody", "1-0 1 1 parked")
    # when metrics are asked for
    text = metrics_text(filled)
    # then all of it is there, and no run id
    found = samples_of(text)
    expected = {
        "lag_events": 3,
        "pending_events": 2,
        "parked_runs": 1,
        "redriving_runs": 0,
        "lease_epoch": 7,
        "leased": 1,
        "lost": 0,
    }
    place = ("mail", str(at))
    assert {name: found[f"runstore_group_{name}", *place] for name in expected} == expected
    assert 0 <= found["runstore_group_lag_seconds", *place] < 60
    assert found["runstore_group_members", "mail", ""] == 1
    assert found["runstore_up", "", ""] == 1
    assert "somebody" not in text
    assert len([key for key in found if key[0] == "runstore_group_stalled"]) == keys.partitions


def test_an_unknown_lag_is_left_out_and_the_loss_is_told(
    filled: SyncEventStore, server: Server
) -> None:
    server.admin.xgroup_destroy(filled.operations.keys.log(3), "mail")

    found = samples_of(metrics_text(filled))

    assert ("runstore_group_lag_events", "mail", "3") not in found
    assert found["runstore_group_lost", "mail", "3"] == 1
    assert found["runstore_group_lost", "mail", "4"] == 0


def test_a_server_that_is_away_is_told_as_down(own_server: Server) -> None:
    # given a store whose server went away
    from eventstore import Settings  # noqa: PLC0415

    with SyncEventStore.open(own_server.url, settings=Settings(append_timeout_ms=50)) as store:
        own_server.kill()
        # when metrics are asked for, then that is what they tell
        assert samples_of(metrics_text(store)) == {("runstore_up", "", ""): 0}
        own_server.start()
        assert samples_of(metrics_text(store))["runstore_up", "", ""] == 1


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_metrics_are_printed_and_served(
    filled: SyncEventStore, server: Server, namespace: str, tmp_path: Path
) -> None:
    cli = CommandLine(tmp_path / "f")
    where = ("--url", server.url, "--namespace", namespace)
    # when they are printed, or served
    printed = cli.text(*where, "metrics")
    with cli.start(*where, "metrics", "--port", "0") as serving:
        assert serving.stderr is not None
        words = serving.stderr.readline()
        told = re.fullmatch(r"serving (http://127\.0\.0\.1:\d+/metrics)\n", words)
        assert told
        with urllib.request.urlopen(told[1], timeout=10) as reply:  # noqa: S310 - our own server
            served = reply.read().decode()
        filled.append("run", notes(1))
        with urllib.request.urlopen(told[1], timeout=10) as reply:  # noqa: S310 - our own server
            later = reply.read().decode()
        serving.terminate()
        assert serving.wait(20) == 143
    # then both tell the same names, and each fetch looks anew
    assert samples_of(printed).keys() == samples_of(served).keys()
    place = ("runstore_group_lag_events", "mail", str(filled.operations.keys.partition_of("run")))
    assert [samples_of(text)[place] for text in (printed, served, later)] == [3, 3, 4]


def test_without_the_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    def run(code: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", HIDDEN + code]
        return subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False)

    by_command = run("sys.argv[1:] = ['metrics']; from replay.__main__ import main; main()")
    by_import = run("import eventstore; import eventstore.groups.metrics")

    assert by_command.returncode == 2
    assert "pip install 'runstore[metrics]'" in by_command.stderr
    assert "Traceback" not in by_command.stderr
    assert "pip install 'runstore[metrics]'" in by_import.stderr
