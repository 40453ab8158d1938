"""Consumer groups: services that handle every event at least once."""

from eventstore.groups.backoff import Backoff
from eventstore.groups.consumer_group import ConsumerGroup
from eventstore.groups.hand.hand import Counts
from eventstore.groups.handling.delivery import Delivery
from eventstore.groups.handling.verdicts import Park, Retry, Skip, Verdict
from eventstore.groups.member.workers import Handler
from eventstore.groups.parking.failure import Failure
from eventstore.groups.parking.parked import Parked, SyncParked
from eventstore.groups.parking.parked_filter import ParkedFilter
from eventstore.groups.parking.parked_run import ParkedRun
from eventstore.groups.service import GroupOptions, Service
from eventstore.groups.start import Start
from eventstore.groups.status.facts import GroupStatus, PartitionLag
from eventstore.groups.status.groups import Groups, SyncGroups

__all__ = [
    "Backoff",
    "ConsumerGroup",
    "Counts",
    "Delivery",
    "Failure",
    "GroupOptions",
    "GroupStatus",
    "Groups",
    "Handler",
    "Park",
    "Parked",
    "ParkedFilter",
    "ParkedRun",
    "PartitionLag",
    "Retry",
    "Service",
    "Skip",
    "Start",
    "SyncGroups",
    "SyncParked",
    "Verdict",
]
