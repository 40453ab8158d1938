"""Parking: a run that keeps failing is set aside for one group, and loses neither place nor order.

``owner`` has the calls of the member that holds a partition; ``Parked`` is for everybody.
"""

from eventstore.groups.parking.failure import Failure
from eventstore.groups.parking.owner import (
    HeldBack,
    Redrive,
    begin_redrive,
    hold_back,
    park,
    park_again,
    parked_runs,
    redrives,
    release,
)
from eventstore.groups.parking.parked import Parked, SyncParked
from eventstore.groups.parking.parked_filter import ParkedFilter
from eventstore.groups.parking.parked_run import ParkedDetails, ParkedPage, ParkedRun

__all__ = [
    "Failure",
    "HeldBack",
    "Parked",
    "ParkedDetails",
    "ParkedFilter",
    "ParkedPage",
    "ParkedRun",
    "Redrive",
    "SyncParked",
    "begin_redrive",
    "hold_back",
    "park",
    "park_again",
    "parked_runs",
    "redrives",
    "release",
]
