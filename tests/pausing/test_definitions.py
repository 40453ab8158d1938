"""Workflows that changed while a run was paused: migrated, insisted on, or refused."""

from __future__ import annotations

from typing import Any

import pytest
from replaying import HOUR, Workers, _form, pause, server_now, timers, travel, types

from eventstore import DefinitionChanged, InvalidArgument, NewEvent
from replay import (
    Definitions,
    Restorer,
    RunControl,
    SyncRestorer,
    SyncRunControl,
    definition_hash,
)


async def begun(store: Any, run_id: str, definition: str | None = "v1", **options: Any) -> None:
    created = {} if definition is None else {"definition_hash": definition}
    await store.append(run_id, NewEvent("run.created", created, workflow_id="intake"))
    given = {"state": {"total": 7}, "resume_at": "ship", "expected": 1}
    await pause(store, run_id, **{**given, **options})


def control(store: Any, definitions: Definitions) -> Any:
    return _form(store, RunControl, SyncRunControl, definitions=definitions)


def restorer(store: Any, work: Any, definitions: Definitions) -> Any:
    return _form(store, Restorer, SyncRestorer, work, definitions=definitions)


def to_v3() -> Definitions:
    """Give a workflow's third definition, reached in two steps."""
    definitions = Definitions({"intake": "v3"})
    definitions.register("v1", "v2", lambda state, at: ({**state, "currency": "EUR"}, at))
    definitions.register("v2", "v3", lambda state, at: ({"amount": state}, f"{at}-all"))
    return definitions


MIGRATED = {"amount": {"total": 7, "currency": "EUR"}}


@pytest.mark.parametrize("window", [0, HOUR])
async def test_a_checkpoint_is_migrated_when_it_is_resumed(any_store: Any, window: Any) -> None:
    # given a run that was paused under the first definition
    await begun(any_store, "run", window=window)
    # when a worker with the third one resumes it
    context = await control(any_store, to_v3()).resume("run", {"ok": True})
    # then it gets the checkpoint that the third one knows, and so says the history
    assert context.state == {**MIGRATED, "ok": True}
    assert (context.resume_at, context.definition_hash, context.restored) == (
        "ship-all",
        "v3",
        True,
    )
    state = await travel(any_store).state_at("run")
    assert (state.state, state.definition_hash) == (context.state, "v3")
    # and the next pause is one of the third definition
    await pause(any_store, "run", window=0, expected=context.version, state=context.state)
    again = await control(any_store, to_v3()).resume("run")
    assert again.state == context.state


async def test_a_checkpoint_is_migrated_when_it_is_restored(any_store: Any) -> None:
    await begun(any_store, "run")
    workers = Workers(raising=1)
    service = restorer(any_store, workers, to_v3())
    await service.run_once()
    await service.run_once(now=await server_now(any_store) + HOUR)
    first, second = workers.contexts
    assert first == second
    assert (first.state, first.resume_at) == (MIGRATED, "ship-all")


async def test_a_changed_definition_stops_a_restore_and_no_other(
    any_store: Any, server: Any, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    # given runs of which one was paused under a definition that nobody knows
    await begun(any_store, "old", "v0")
    await begun(any_store, "new", "v3")
    await begun(any_store, "none", None)
    workers = Workers()
    # when they are restored
    counts = await restorer(any_store, workers, to_v3()).run_once()
    # then that one waits for who knows it, and is told about
    assert (counts.restored, counts.errors) == (2, 1)
    assert workers.runs == ["new", "none"]
    assert "'v0'" in caplog.text
    assert types(await any_store.load("old", after=2)) == []
    assert timers(server, namespace) == ["window|old|p"]
    later = await server_now(any_store) + HOUR
    known = Definitions({"intake": "v0"})
    assert (await restorer(any_store, workers, known).run_once(now=later)).restored == 1


async def test_a_changed_definition_refuses_a_resume_unless_one_insists(any_store: Any) -> None:
    await begun(any_store, "run", "v0")
    with pytest.raises(DefinitionChanged) as error:
        await control(any_store, to_v3()).resume("run")
    assert (error.value.recorded, error.value.current) == ("v0", "v3")
    assert (await any_store.head("run")).version == 2
    insisting = Definitions({"intake": "v3"}, insist=True)
    context = await control(any_store, insisting).resume("run")
    assert (context.state, context.definition_hash) == ({"total": 7}, "v3")


async def test_a_run_that_was_restored_by_one_who_did_not_know_is_not_handed_on(
    any_store: Any,
) -> None:
    # given a run that was made to go on without regard to its definition
    await begun(any_store, "run", window=HOUR)
    await _form(any_store, RunControl, SyncRunControl).expire("run")
    # when a restorer that has another definition finds it / then it leaves it to others
    counts = await restorer(any_store, pytest.fail, to_v3()).run_once()
    assert (counts.restored, counts.errors) == (0, 1)


def test_definitions_that_cannot_be_are_refused() -> None:
    with pytest.raises(InvalidArgument):
        Definitions({"intake": ""})
    definitions = to_v3()
    with pytest.raises(InvalidArgument, match="there already"):
        definitions.register("v1", "v2", lambda state, at: (state, at))
    with pytest.raises(InvalidArgument):
        definitions.register("v3", "v4", None)  # type: ignore[arg-type]


def test_a_definition_is_known_by_its_content() -> None:
    assert definition_hash({"a": 1, "b": [2]}) == definition_hash({"b": [2], "a": 1})
    assert definition_hash({"a": 1}) != definition_hash({"a": 2})
