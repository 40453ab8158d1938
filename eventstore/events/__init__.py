"""Events: what goes in, what comes out, and their names, payloads and versions."""

from eventstore.events.cloudevents import from_cloudevent, to_cloudevent
from eventstore.events.erased import ERASED, erased_form
from eventstore.events.expected_version import ANY, NO_RUN, RUN_EXISTS, ExpectedVersion
from eventstore.events.identifiers import check_name, check_namespace, check_run_id, new_id
from eventstore.events.new_event import NewEvent
from eventstore.events.payloads import DELETED, ENDS, PAYLOADS
from eventstore.events.position import Position
from eventstore.events.recorded_event import RecordedEvent
from eventstore.events.stored_values import STORED, value_digest
from eventstore.events.upcasters import Upcasters

__all__ = [
    "ANY",
    "DELETED",
    "ENDS",
    "ERASED",
    "NO_RUN",
    "PAYLOADS",
    "RUN_EXISTS",
    "STORED",
    "ExpectedVersion",
    "NewEvent",
    "Position",
    "RecordedEvent",
    "Upcasters",
    "check_name",
    "check_namespace",
    "check_run_id",
    "erased_form",
    "from_cloudevent",
    "new_id",
    "to_cloudevent",
    "value_digest",
]
