"""The README's smallest ACL is enough to see and steer groups."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from samples import notes
from servers import OWN, Server

from eventstore import SyncEventStore
from eventstore.groups.status import SyncGroups

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize("name", OWN)
def test_the_acl_of_the_readme_is_enough_for_groups(
    name: str, launch: Callable[..., Server]
) -> None:
    # given a user with the rights that the README names
    block = re.search(r"<!-- acl -->\n```\n(.*?)```", README.read_text("utf-8"), flags=re.DOTALL)
    assert block
    server = launch(name, tcp=True)
    server.admin.execute_command(*block[1].split())
    url = server.url.replace("redis://", "redis://runstore:secret@")
    with SyncEventStore.open(url, namespace="runs") as store:
        store.append("run", notes(2))
        groups = SyncGroups(store)
        # when it does all that can be done
        groups.create("mail")
        behind = [one.lag_events for one in groups.list()]
        groups.reset("mail", "end", by="ann", drop_parked=True)
        after = groups.show("mail")
        groups.delete("mail")
        # then nothing was refused
        assert (behind, after.lag_events, len(after.resets)) == ([2], 0, 1)
        assert groups.list() == ()
