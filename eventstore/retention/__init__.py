"""What may leave Redis, and the trimmer that removes it."""

from eventstore.retention.report import Holder, PartitionTrim, TrimReport
from eventstore.retention.trimmer import Trimmer

__all__ = ["Holder", "PartitionTrim", "TrimReport", "Trimmer"]
