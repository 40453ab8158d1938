"""The rows that follow from a run's fold, each kind collected over a batch and written once."""

from projections.rows.checkpoints import CheckpointRows
from projections.rows.labels import LabelRows, label_value
from projections.rows.nodes import NodeRows
from projections.rows.pauses import PAUSE_TYPES, PauseRows

__all__ = ["PAUSE_TYPES", "CheckpointRows", "LabelRows", "NodeRows", "PauseRows", "label_value"]
