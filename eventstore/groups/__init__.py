"""Consumer groups: services that handle every event at least once."""

from eventstore.groups.backoff import Backoff
from eventstore.groups.consumer_group import ConsumerGroup
from eventstore.groups.delivery import Delivery
from eventstore.groups.hand import Counts
from eventstore.groups.service import GroupOptions, Service
from eventstore.groups.start import Start
from eventstore.groups.verdicts import Park, Retry, Skip, Verdict
from eventstore.groups.workers import Handler

__all__ = [
    "Backoff",
    "ConsumerGroup",
    "Counts",
    "Delivery",
    "GroupOptions",
    "Handler",
    "Park",
    "Retry",
    "Service",
    "Skip",
    "Start",
    "Verdict",
]
