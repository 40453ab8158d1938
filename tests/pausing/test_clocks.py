"""Deadlines count by the server's clock, whatever the worker's says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from replaying import HOUR, MS, Workers, control, pause, restorer, server_now

from eventstore import PauseExpired
from eventstore.clock import system_clock
from pausing.ground import KEY, begin_watched, reconciler

NEARLY = timedelta(minutes=1)


@pytest.mark.parametrize("server_ahead", [HOUR, -HOUR], ids=["ahead", "behind"])
@pytest.mark.parametrize("name", ["valkey", "redis6", "redis7"])
async def test_a_worker_whose_clock_is_an_hour_off_changes_no_deadline(
    launch: Any,
    shim: Any,
    open_any: Any,
    name: str,
    server_ahead: timedelta,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given a server whose clock is an hour away from this machine's
    monkeypatch.setenv("RUNSTORE_TOKEN_KEY", KEY)
    skew = {"SKEW_MS": str(server_ahead // MS)}
    server = launch(name, preload=shim("slowclock"), environment=skew)
    async with open_any(server.url) as store:
        assert abs(await server_now(store) - system_clock() - server_ahead) < NEARLY
        # when a window is extended, a link is made, and a run shows that it is alive
        await pause(store, "waits", window=HOUR)
        extended = await control(store).extend("waits", HOUR / 2)
        token = await control(store).token("waits", valid_for=HOUR / 2)
        late = await control(store).token("waits", valid_for=0)
        await begin_watched(store, "alive", stall_after_ms=HOUR // MS)
        deadline = await control(store).heartbeat("alive")
        # then all of it counts by the server's clock
        now = await server_now(store)
        assert abs(extended.expires_at - now - HOUR / 2) < NEARLY
        assert abs(deadline - now - HOUR) < NEARLY
        assert (await restorer(store, pytest.fail).run_once()).scanned == 0
        assert (await reconciler(store, pytest.fail).run_once()).scanned == 0
        with pytest.raises(PauseExpired):
            await control(store).decide(token=late, answer={})
        assert (await control(store).decide(token=token, answer={})).run_id == "waits"
        workers = Workers()
        await begin_watched(store, "silent", stall_after_ms=1)
        await server_now(store)
        counts = await reconciler(store, workers).run_once(now=now + HOUR / 2)
        assert (counts.recovered, workers.runs) == (1, ["silent"])
