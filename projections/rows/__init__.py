"""The rows that follow from a run's fold, each kind collected over a batch and written once."""

from projections.rows.calls import CALL_TYPES, CallRows
from projections.rows.checkpoints import CheckpointRows
from projections.rows.deletions import DeletedRows
from projections.rows.labels import LabelRows, label_value
from projections.rows.nodes import BEGINNINGS, NODE_TYPES, NodeRows
from projections.rows.pauses import PAUSE_TYPES, PauseRows

__all__ = [
    "BEGINNINGS",
    "CALL_TYPES",
    "NODE_TYPES",
    "PAUSE_TYPES",
    "CallRows",
    "CheckpointRows",
    "DeletedRows",
    "LabelRows",
    "NodeRows",
    "PauseRows",
    "label_value",
]
