"""Proof that everything is as it was written, and that a workflow still decides as it did."""

from replay.audit.audit import Audit, SyncAudit
from replay.audit.checking import Checked, Decide, Divergence
from replay.audit.findings import AuditFinding
from replay.audit.history import Deed, history_of
from replay.audit.verifying import AuditReport, verify

__all__ = [
    "Audit",
    "AuditFinding",
    "AuditReport",
    "Checked",
    "Decide",
    "Deed",
    "Divergence",
    "SyncAudit",
    "history_of",
    "verify",
]
