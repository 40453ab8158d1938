"""A server that lost its data, or went back, while the archive has erased what it held."""

from __future__ import annotations

import pytest
from archive.filing import ask
from retention.ground import Ground
from samples import contents, go_back, noted
from servers import Server

from erasure.conftest import MARKER, delete, speak
from eventstore.archive import Archive, verify
from eventstore.archive.recovery import accept, lost, put_back
from eventstore.events import ERASED


@pytest.fixture
def own(own_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground(own_server, "runs", tmp_path_factory.mktemp("own"))


def test_an_erased_run_can_be_put_back_as_such(own: Ground) -> None:
    # given a server that lost everything, an erased run among it
    with own as ground:
        speak(ground)
        delete(ground)
        ground.archive_and_trim()
        ground.server.admin.flushall()
    # when it is put back
    with own.open() as store, Archive.look(own.path, read_only=False) as archive:
        put_back(archive, store)
    with own.open() as store, Archive.look(own.path, read_only=False) as archive:
        # then everything is in its place, the deleted run without content, and all agree
        assert lost(archive, store).events == 0
        events = store.load("secret")
        assert [event.type for event in events] == [ERASED] * 6 + ["run.deleted"]
        assert store.head("secret").deleted
        assert verify(archive, store=store).exit_code == 0
        assert next(iter(store.read_all())).position == own.all[0].position


def test_nothing_counts_as_lost_because_it_was_erased(own: Ground) -> None:
    # given a log that still holds what the archive has erased
    with own as ground:
        speak(ground)
        delete(ground)
        ground.archive()
        with ground.opened_archive(read_only=True) as archive:
            # then they are known to be the same
            assert lost(archive, ground.store).events == 0


def test_a_deletion_that_was_lost_still_explains_what_it_erased(own: Ground) -> None:
    # given a server that went back to before a deletion, which the archive had taken in
    with own as ground:
        speak(ground)
        copy = contents(ground.server, "runs")
        delete(ground)
        ground.archive()
        go_back(ground.server, "runs", copy)
        # when that is accepted, and the run goes on
        with ground.opened_archive() as archive:
            accept(archive, ground.store, "an old copy")
        ground.store.append("secret", noted("on"))
        ground.archive()
        # then the archive is as it should be, and deleting the run once more erases it
        with ground.opened_archive(read_only=True) as archive:
            assert verify(archive, store=ground.store).exit_code == 0
        ground.store.append("secret", noted(MARKER))
        delete(ground)
        ground.archive()
        left = ask(ground.path, "SELECT CAST(event AS TEXT) FROM events WHERE event IS NOT NULL")
        assert not [text for (text,) in left if MARKER in text]
        with ground.opened_archive(read_only=True) as archive:
            assert verify(archive, store=ground.store).exit_code == 0


def test_what_was_accepted_as_lost_is_erased_with_its_run(own: Ground) -> None:
    # given events that the server lost, and that the archive keeps as lost
    with own as ground:
        ground.store.append("secret", noted("known"))
        copy = contents(ground.server, "runs")
        speak(ground)
        ground.archive()
        go_back(ground.server, "runs", copy)
        with ground.opened_archive() as archive:
            accept(archive, ground.store, "an old copy")
        lost_ones = "SELECT run_id, event IS NULL FROM lost_events ORDER BY run_id"
        assert ask(ground.path, lost_ones) == [("other", 0)] * 5 + [("secret", 0)] * 5
        # when their run is deleted
        delete(ground)
        ground.archive()
        # then they have no content either, those of others do, and all is as it should be
        assert ask(ground.path, lost_ones) == [("other", 0)] * 5 + [("secret", 1)] * 5
        with ground.opened_archive(read_only=True) as archive:
            assert verify(archive, store=ground.store).exit_code == 0
