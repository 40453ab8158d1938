"""Consumer groups as Prometheus metrics. Needs the extra ``metrics``; import this module by name.

``GroupMetrics`` is a collector for any registry of ``prometheus_client``. Labels are groups and
partitions; run ids are not, since there is no end of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from eventstore.errors import RunStoreError
from eventstore.groups.status import GroupStatus, PartitionLag, SyncGroups
from eventstore.sync_store import SyncEventStore

try:
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.registry import Collector
except ImportError as missing:
    raise ModuleNotFoundError(
        "metrics need the Prometheus client: pip install 'runstore[metrics]'",
        name="prometheus_client",
    ) from missing

_log = logging.getLogger(__name__)
_MS = 1000

_PARTITION_GAUGES: tuple[tuple[str, str, Callable[[PartitionLag], float | None]], ...] = (
    ("lag_events", "Events that wait.", lambda one: one.lag_events),
    ("lag_seconds", "How long ago the first event that waits was recorded.", lambda one: (
        None if one.lag_ms is None else one.lag_ms / _MS)),
    ("pending_events", "Events given to members and not acknowledged.", lambda one: one.pending),
    ("oldest_pending_seconds", "The longest time since one of the first of them was given.",
     lambda one: one.oldest_pending_ms / _MS),
    ("parked_runs", "Runs that are set aside.", lambda one: one.parked),
    ("redriving_runs", "Runs set aside that are to be handled after all.",
     lambda one: one.redriving),
    ("stalled", "1 if the owner does not get on.", lambda one: one.stalled),
    ("lost", "1 if the group is missing here, or the log lost its end.",
     lambda one: one.problem is not None),
    ("lease_epoch", "Rises when the partition changes hands.", lambda one: one.epoch),
    ("leased", "1 if a member holds the partition.", lambda one: one.leased_for_ms > 0),
)  # fmt: skip


class GroupMetrics(Collector):
    """Looks at every group of a store whenever it is asked, in one exchange a group.

    ``runstore_up`` is 0 where the store cannot be reached or says no: then there is nothing else.
    """

    def __init__(self, store: SyncEventStore) -> None:
        self._groups = SyncGroups(store)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give the metrics as they are now."""
        try:
            groups = self._groups.list()
        except RunStoreError as error:
            _log.warning("no metrics: %s", error)
            yield _up(is_up=False)
            return
        yield _up(is_up=True)
        yield from _families(groups)


def metrics_text(store: SyncEventStore) -> str:
    """Give the metrics of all groups in Prometheus' text format."""
    return generate_latest(registry_of(store)).decode()


def registry_of(store: SyncEventStore) -> CollectorRegistry:
    """Make a registry that holds these metrics and nothing else."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(GroupMetrics(store))
    return registry


def _up(*, is_up: bool) -> GaugeMetricFamily:
    return GaugeMetricFamily("runstore_up", "1 if the store answers.", value=is_up)


def _families(groups: tuple[GroupStatus, ...]) -> Iterator[GaugeMetricFamily]:
    members = GaugeMetricFamily(
        "runstore_group_members", "Members that count as alive.", labels=["group"]
    )
    for group in groups:
        members.add_metric([group.name], len(group.live_members))
    yield members
    for name, meaning, value_of in _PARTITION_GAUGES:
        family = GaugeMetricFamily(f"runstore_group_{name}", meaning, labels=["group", "partition"])
        for group in groups:
            for one in group.partitions:
                value = value_of(one)
                if value is not None:
                    family.add_metric([group.name, str(one.partition)], value)
        yield family
