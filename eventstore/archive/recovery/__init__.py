"""What the server lost and the archive still holds: listed, put back, or accepted as lost."""

from eventstore.archive.recovery.acceptance import Acceptance, accept
from eventstore.archive.recovery.losses import Losses, LostEvent, PartitionLoss, lost, lost_events
from eventstore.archive.recovery.putback import PutBack, put_back

__all__ = [
    "Acceptance",
    "Losses",
    "LostEvent",
    "PartitionLoss",
    "PutBack",
    "accept",
    "lost",
    "lost_events",
    "put_back",
]
