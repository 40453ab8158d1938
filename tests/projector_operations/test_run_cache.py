"""The cache of run states keeps what was used last, within its bound."""

from __future__ import annotations

from projections import RunState
from projections.run_cache import RunCache


def kept(cache: RunCache) -> str:
    return "".join(name for name in "abcd" if cache.get(name))


def test_beyond_its_bound_the_states_used_longest_ago_go() -> None:
    cache = RunCache(limit_bytes=100)
    for name in "abc":
        cache.keep(RunState(name), 40)
    assert kept(cache) == "bc"
    cache.keep(RunState("b"), 40)
    cache.keep(RunState("d"), 40)
    assert kept(cache) == "bd"


def test_a_state_that_grew_counts_with_its_new_size() -> None:
    cache = RunCache(limit_bytes=100)
    cache.keep(RunState("a"), 10)
    cache.keep(RunState("b"), 10)
    cache.keep(RunState("b"), 95)
    assert kept(cache) == "b"
    cache.drop("b")
    cache.keep(RunState("c"), 100)
    assert kept(cache) == "c"


def test_a_state_beyond_the_whole_bound_is_not_kept() -> None:
    cache = RunCache(limit_bytes=100)
    cache.keep(RunState("a"), 101)
    assert kept(cache) == ""


def test_what_is_dropped_makes_room() -> None:
    cache = RunCache(limit_bytes=100)
    cache.keep(RunState("a"), 60)
    cache.drop("a")
    cache.drop("a")
    cache.keep(RunState("b"), 60)
    cache.clear()
    cache.keep(RunState("c"), 60)
    cache.keep(RunState("d"), 40)
    assert kept(cache) == "cd"
