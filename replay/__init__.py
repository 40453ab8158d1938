"""Bringing runs back: pause and resume, restore after the window, time travel."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from replay.adjusting import Expired
    from replay.audit import Audit, AuditReport, SyncAudit
    from replay.context import RunContext
    from replay.control import RunControl
    from replay.decision import Decision, decide
    from replay.definitions import Definitions, Migration, definition_hash
    from replay.exporting import export_events
    from replay.importing import Importer, ImportReport, import_events
    from replay.lateness import Lateness
    from replay.pausing import Paused
    from replay.reconciler import Reconciler, SyncReconciler
    from replay.recovery_counts import RecoveryCounts
    from replay.restore_counts import RestoreCounts
    from replay.restorer import Restorer, SyncRestorer
    from replay.signals.delivery import Delivered, SignalDelivery
    from replay.signals.watching import Watching
    from replay.sync_control import SyncRunControl
    from replay.timetravel import Change, Fork, SnapshotFile, SyncTimeTravel, TimeTravel

_HOMES = {
    "Audit": "audit",
    "AuditReport": "audit",
    "Definitions": "definitions",
    "Expired": "adjusting",
    "ImportReport": "importing",
    "Importer": "importing",
    "Lateness": "lateness",
    "Migration": "definitions",
    "Reconciler": "reconciler",
    "RecoveryCounts": "recovery_counts",
    "SyncReconciler": "reconciler",
    "definition_hash": "definitions",
    "export_events": "exporting",
    "import_events": "importing",
    "leave_to_workers": "workers",
    "worker_group": "workers",
    "Change": "timetravel",
    "Decision": "decision",
    "Delivered": "signals.delivery",
    "Fork": "timetravel",
    "Paused": "pausing",
    "RestoreCounts": "restore_counts",
    "Restorer": "restorer",
    "RunContext": "context",
    "RunControl": "control",
    "SignalDelivery": "signals.delivery",
    "SnapshotFile": "timetravel",
    "SyncAudit": "audit",
    "SyncRestorer": "restorer",
    "SyncRunControl": "sync_control",
    "SyncTimeTravel": "timetravel",
    "TimeTravel": "timetravel",
    "Watching": "signals.watching",
    "decide": "decision",
}

__all__ = [
    "Audit",
    "AuditReport",
    "Change",
    "Decision",
    "Definitions",
    "Delivered",
    "Expired",
    "Fork",
    "ImportReport",
    "Importer",
    "Lateness",
    "Migration",
    "Paused",
    "Reconciler",
    "RecoveryCounts",
    "RestoreCounts",
    "Restorer",
    "RunContext",
    "RunControl",
    "SignalDelivery",
    "SnapshotFile",
    "SyncAudit",
    "SyncReconciler",
    "SyncRestorer",
    "SyncRunControl",
    "SyncTimeTravel",
    "TimeTravel",
    "Watching",
    "decide",
    "definition_hash",
    "export_events",
    "import_events",
    "leave_to_workers",
    "worker_group",
]


def __getattr__(name: str) -> Any:
    """Import a part when it is first asked for: the command line's help must be quick."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Tell the names, also those that nobody asked for yet."""
    return sorted({*globals(), *__all__})
