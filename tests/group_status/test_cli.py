"""``runstore groups``: what people and programs read, what is refused, how it exits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from samples import notes
from servers import AnyServer

from eventstore import SyncEventStore

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)


class OnServer(CommandLine):
    """The command line on a server and a namespace."""

    def __init__(self, folder: Path, store: SyncEventStore, server: AnyServer, name: str) -> None:
        super().__init__(folder)
        self.store, self.server, self.admin = store, server, server.admin
        self.keys = store.operations.keys
        self._where = ("--url", server.url, "--namespace", name)

    def run(self, *arguments: object, **details: Any) -> Any:
        return super().run(*self._where, *arguments, **details)

    def refused(self, *arguments: object, code: int = 2) -> str:
        """Run a command that must fail; give what it says."""
        done = self.run(*arguments)
        assert (done.returncode, done.stdout) == (code, "")
        assert "Traceback" not in done.stderr
        return done.stderr


@pytest.fixture
def cli(tmp_path: Path, server: AnyServer, namespace: str) -> Iterator[OnServer]:
    """Four events in a store of two partitions: three in the first, one in the other."""
    with SyncEventStore.open(server.url, namespace=namespace, partitions=2) as store:
        store.append("run-4", notes(3))
        store.append("run-0", notes(1))
        with closing(OnServer(tmp_path / "f", store, server, namespace)) as line:
            yield line


def test_a_group_is_made_listed_shown_reset_and_deleted(cli: OnServer) -> None:
    # given a group
    assert cli.text("groups", "list").split("\n")[0].split()[0] == "group"
    assert cli.json("groups", "create", "mail") == {"group": "mail", "start": "beginning"}
    # then it is listed and shown
    (listed,) = cli.json("groups", "list")["items"]
    shown = cli.json("groups", "show", "mail")
    assert (listed["name"], listed["lag_events"], listed["live_members"]) == ("mail", 4, [])
    assert [one["lag_events"] for one in shown["partitions"]] == [3, 1]
    assert shown["partitions"][0]["done"] == "0:0-0"
    assert shown["partitions"][0]["tail"] == str(cli.store.tails()[0])
    # when it is reset, and deleted
    tried = cli.json("groups", "reset", "mail", "--to", "end", "--dry-run")
    done = cli.json("groups", "reset", "mail", "--to", "end", "--by", "ann")
    after = cli.json("groups", "show", "mail")
    gone = cli.json("groups", "delete", "mail", "--yes")
    # then it is so
    assert (tried["skipped"], tried["dry_run"], done["dry_run"]) == (4, True, False)
    assert done["moves"] == tried["moves"]
    assert (after["lag_events"], after["resets"][0]["by"]) == (0, "ann")
    assert after["resets"][0]["came_from"] == ["0:0-0", "1:0-0"]
    assert gone == {"group": "mail", "deleted": True}
    assert cli.json("groups", "list") == {"items": [], "next_cursor": None}


def test_the_page_of_a_group_begins_with_what_is_wrong(cli: OnServer) -> None:
    # given a group that is behind on one partition, and missing on the other
    cli.text("groups", "create", "mail")
    cli.admin.hset(
        cli.keys.lease(0, "mail"), mapping={"owner": "w1", "epoch": 7, "until": 2**45, "moved": 1}
    )
    cli.admin.zadd(cli.keys.members("mail"), {"w1": 2**45, "gone": 1_000})
    cli.admin.xreadgroup("mail", "w1", {cli.keys.log(0): ">"}, count=2)
    cli.admin.xgroup_destroy(cli.keys.log(1), "mail")
    # when somebody looks
    page = cli.text("groups", "show", "mail")
    lines = page.splitlines()
    # then the loss is in words, and its partition comes first
    assert any("state" in line and "wrong on partition 1" in line for line in lines)
    assert any(line.startswith("wrong: partition 1: the group is missing") for line in lines)
    head = next(n for n, line in enumerate(lines) if line.lstrip().startswith("partition  "))
    assert lines[head + 1].split()[:2] == ["1", "wrong"]
    assert lines[head + 2].split()[:3] == ["0", "behind", "3"]
    assert "w1" in lines[head + 2].split()
    assert "1 live, 1 silent" in page
    assert "members" in lines


def test_a_store_that_is_not_there_is_not_made_by_looking(cli: OnServer) -> None:
    elsewhere = ("--namespace", "elsewhere-and-nowhere")

    for looking in (("groups", "list"), ("groups", "show", "mail"), ("parked", "list", "mail")):
        assert "no store named 'elsewhere-and-nowhere'" in cli.refused(*looking, *elsewhere)

    assert not cli.admin.keys("elsewhere-and-nowhere:*")


def test_a_group_begins_at_a_time_and_not_at_a_place_of_another_store(cli: OnServer) -> None:
    tail = cli.store.tails()[0]
    nowhere = f"0:{tail.ms - 1}-1"  # there is an entry 1, of another time

    cli.text("groups", "create", "late", "--start", "2112-05-22T10:00:00Z")
    cli.text("groups", "create", "early", "--start", "2012-05-22")
    assert "has no entry" in cli.refused("groups", "create", "lost", "--start", nowhere)
    assert "neither beginning nor end" in cli.refused("groups", "create", "lost", "--start", "soon")

    listed = {one["name"]: one["lag_events"] for one in cli.json("groups", "list")["items"]}
    assert listed == {"early": 4, "late": 0}


def test_a_group_is_reset_to_positions_and_times(cli: OnServer) -> None:
    cli.text("groups", "create", "mail")
    tails = cli.store.tails()
    here = f"0:{tails[0].ms}-{tails[0].n}"

    one = cli.json("groups", "reset", "mail", "--to", here, "--to", "1:0-0")
    past = cli.json("groups", "reset", "mail", "--to", "2012-05-22")
    future = cli.json("groups", "reset", "mail", "--to", "2112-05-22T10:00:00Z")

    assert [move["goes_to"] for move in one["moves"]] == [here, "1:0-0"]
    assert [move["goes_to"] for move in past["moves"]] == ["0:0-0", "1:0-0"]
    assert [move["goes_to"] for move in future["moves"]] == [here, str(tails[1])]
    words = cli.text("groups", "reset", "mail", "--to", "beginning")
    assert "4 events again, 0 skipped" in words


def test_a_deletion_asks_first(cli: OnServer, tmp_path: Path) -> None:
    # given a group
    cli.text("groups", "create", "mail")
    answer = tmp_path / "answer"
    # when somebody says no, or nothing
    answer.write_text("n\n")
    with answer.open("rb") as said:
        no = cli.run("groups", "delete", "mail", stdin=said)
    silence = cli.run("groups", "delete", "mail")
    # then it stays, and what would be lost was told
    assert (no.returncode, silence.returncode) == (1, 1)
    assert "4 events behind" in no.stderr
    assert len(cli.json("groups", "list")["items"]) == 1
    # when somebody says yes
    answer.write_text("y\n")
    with answer.open("rb") as said:
        assert "deleted" in cli.text("groups", "delete", "mail", stdin=said)
    # then it is gone
    assert cli.json("groups", "list")["items"] == []


def test_what_cannot_be_done_is_told_in_one_line(cli: OnServer) -> None:
    cli.text("groups", "create", "mail")
    cli.admin.zadd(cli.keys.members("mail"), {"w1": 2**45})

    refused = cli.refused("groups", "show", "mial", code=1)
    assert "(known: mail); did you mean 'mail'? 'runstore groups create' makes one" in refused
    assert "known: mail" in cli.refused("groups", "reset", "mial", "--to", "end", code=1)
    assert "known: mail" in cli.refused("groups", "delete", "mial", "--yes", code=1)
    assert "w1" in cli.refused("groups", "delete", "mail", "--yes")
    assert "w1" in cli.refused("groups", "reset", "mail", "--to", "end")
    assert "there already" in cli.refused("groups", "create", "mail")
    assert "no position" in cli.refused("groups", "create", "new", "--start", "middle")
    assert "another store" in cli.refused("groups", "reset", "mail", "--to", "0:99-1", "--force")
    assert "no time" in cli.refused("groups", "reset", "mail", "--to", "yesterday")
    assert "twice" in cli.refused("groups", "reset", "mail", "--to", "0:0-0", "--to", "0:0-0")
    assert "positions" in cli.refused("groups", "reset", "mail", "--to", "0:0-0", "--to", "end")
    assert "--to" in cli.refused("groups", "reset", "mail")


def test_the_doctor_tells_of_groups_that_are_lost_or_stalled(cli: OnServer) -> None:
    # given a group in order that has no member
    cli.text("groups", "create", "mail")
    database = ("--database", cli.folder / "none.db")
    well = cli.run("doctor", "--json", *database)
    # when one partition loses it and the owner of the other is stuck
    lease = {"owner": "w1", "until": 2**45, "moved": 1}
    cli.admin.hset(cli.keys.lease(0, "mail"), mapping=lease)
    cli.admin.xgroup_destroy(cli.keys.log(1), "mail")
    ill = cli.run("doctor", "--json", *database, RUNSTORE_STALL_AFTER_MS="1")
    # then both are findings
    before, after = json.loads(well.stdout), json.loads(ill.stdout)
    assert before["store"]["groups"] == 1
    assert not any("mail" in finding for finding in before["wrong"])
    assert any("mail: 4 events wait and no member lives" in hint for hint in before["hints"])
    assert ill.returncode == 1
    assert any("mail, partition 1: the group is missing" in wrong for wrong in after["wrong"])
    assert any("stalled on partition 0: w1 holds it" in wrong for wrong in after["wrong"])
