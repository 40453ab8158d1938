"""Consumer groups seen and steered from outside."""

from eventstore.groups.status.facts import GroupStatus, MemberStatus, PartitionLag, ResetRecord
from eventstore.groups.status.groups import Groups, SyncGroups
from eventstore.groups.status.steering import Move, Reset
from eventstore.groups.status.target import Target

__all__ = [
    "GroupStatus",
    "Groups",
    "MemberStatus",
    "Move",
    "PartitionLag",
    "Reset",
    "ResetRecord",
    "SyncGroups",
    "Target",
]
