"""Consumer groups: services that handle every event at least once."""

from eventstore.groups.backoff import Backoff
from eventstore.groups.consumer_group import ConsumerGroup
from eventstore.groups.hand import Counts
from eventstore.groups.start import Start
from eventstore.groups.workers import Handler

__all__ = ["Backoff", "ConsumerGroup", "Counts", "Handler", "Start"]
