"""``runstore signal`` and ``runstore watch``, as a person types them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine

from eventstore import NewEvent, SyncEventStore
from replay import SyncRunControl


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[CommandLine]:
    """The command line in a folder where two runs wait for their payments."""
    line = CommandLine(tmp_path / "f")
    with SyncEventStore.open(folder=line.store_folder) as store:
        for number in (1, 2):
            run = f"order-{number}"
            store.append(run, NewEvent("run.created", {"input": number}))
            condition = {"field": "order", "op": "==", "value": number}
            waited = {"type": "paid", "conditions": [condition], "into": "payment"}
            SyncRunControl(store).pause(
                run,
                pause_id=f"p{number}",
                state={},
                window=None,
                on_expiry="park",
                wait_for=[waited],
            )
        yield line
    line.close()


def test_a_signal_ends_the_pause_that_waits_for_it(cli: CommandLine) -> None:
    payload = '{"order": 2}'
    # when it is tried, delivered, and delivered again
    tried = cli.text("signal", "paid", payload, "--source-id", "s", "--dry-run")
    assert tried.split() == [
        "run",
        "would",
        "be",
        "pause",
        "version",
        "order-2",
        "resumed",
        "p2",
        "3",
    ]
    told = cli.json("signal", "paid", payload, "--source-id", "s", "--actor", "shop")
    again = cli.run("signal", "paid", payload, "--source-id", "s")
    # then it counted once
    (run,) = told["runs"]
    assert (run["run_id"], run["outcome"], run["context"]["state"]) == (
        "order-2", "resumed", {"payment": {"order": 2}})  # fmt: skip
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr == "it was delivered before, to 1 runs; nothing was done\n"
    assert cli.json("state", "order-2")["version"] == 4


def test_a_signal_that_nobody_watches_for_exits_with_1(cli: CommandLine) -> None:
    done = cli.run("signal", "paid", '{"order": 3}')
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "no run watches for it\n"
    assert cli.run("signal", "paid", "--run", "nobody").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("paid", "not json"), "it is not JSON"),
        (("paid", "7", "--run", "order-1", "--patch"), "JSON object"),
        (("",), "type must not be empty"),
        (("paid", "--when-full", "both"), "both"),
    ],
)
def test_a_signal_that_is_none_exits_with_2(
    cli: CommandLine, arguments: tuple[str, ...], told: str
) -> None:
    done = cli.run("signal", *arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_signal_to_a_run_by_name_is_kept_or_goes_into_its_state(cli: CommandLine) -> None:
    cli.text("signal", "note", '"text"', "--run", "order-1")
    cli.text("signal", "note", '{"a": 1}', "--run", "order-1", "--patch")
    state = cli.json("state", "order-1")
    assert state["state"] == {"a": 1}
    assert [signal["payload"] for signal in state["signals"]] == ["text"]


def test_watches_are_added_listed_and_removed(cli: CommandLine) -> None:
    where = ("--where", "amount > 100", "--where", "shop.name==ann", "--where", "note exists")
    # when one is tried, and then set
    assert cli.text("watch", "add", "order-1", "rated", *where, "--dry-run") == "it could be set\n"
    assert cli.text("watch", "add", "order-1", "rated", *where, "--id", "w") == "w\n"
    # then it is shown, by its run and by its type
    listed = cli.text("watch", "list", "order-1")
    conditions = 'amount > 100 and shop.name == "ann" and note exists'
    assert listed.splitlines()[1:] == [
        f"watch  w   rated  {conditions}", "pause  p1  paid   order == 1"]  # fmt: skip
    assert conditions in cli.text("watch", "who", "rated")
    (found,) = cli.json("watch", "who", "rated")["items"]
    assert found["run"] == "order-1"
    assert [item["run"] for item in cli.json("watch", "who", "paid")["items"]] != []
    # and it is gone once it is removed
    assert cli.text("watch", "remove", "order-1", "w", "--dry-run") == "it would be removed\n"
    assert cli.text("watch", "remove", "order-1", "w") == "removed\n"
    assert cli.run("watch", "remove", "order-1", "w").returncode == 1
    assert cli.json("watch", "who", "rated") == {"items": [], "is_all": True}


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("amount", "is no condition"),
        ("> 7", "is no condition"),
        ("amount ~ 7", "is no condition"),
        ("a..b == 7", "field path"),
        ("amount > many", "numbers only"),
    ],
)
def test_a_condition_that_is_none_exits_with_2(cli: CommandLine, where: str, told: str) -> None:
    done = cli.run("watch", "add", "order-1", "rated", "--where", where)
    assert done.returncode == 2
    assert told in done.stderr
    assert cli.json("watch", "who", "rated")["items"] == []
