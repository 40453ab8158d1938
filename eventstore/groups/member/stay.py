"""How the parts of a member are put together when it joins its group."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from eventstore.clock import Clock, awake_or_asleep
from eventstore.groups.backoff import Backoff
from eventstore.groups.bounds import Bounds
from eventstore.groups.hand.hand import Counts, Hand
from eventstore.groups.hand.intake import Intake
from eventstore.groups.hold import Membership
from eventstore.groups.member.asking import Asking
from eventstore.groups.member.attempts import Attempts
from eventstore.groups.member.exchanges import Exchanges
from eventstore.groups.member.member import Member
from eventstore.groups.member.setting_aside import SettingAside
from eventstore.groups.member.tenure import Tenure
from eventstore.groups.member.workers import Handler, Workers
from eventstore.groups.selection import Selection

if TYPE_CHECKING:
    from eventstore.store import EventStore


def begin_stay(
    store: EventStore,
    group: str,
    member: str,
    handler: Handler,
    selection: Selection,
    bounds: Bounds,
    backoff: Backoff,
    counts: Counts,
    clock: Clock,
) -> Member:
    """Make a member of a group, which holds nothing yet."""
    operations, changed = store.operations, asyncio.Event()
    who = Membership(operations.keys, group, member)
    hand = Hand(selection, counts, bounds.max_lane_events, awake_or_asleep)
    each = -(-bounds.batch_events // operations.keys.partitions)
    intake = Intake(operations, who, hand, each)
    tenure = Tenure(operations, who, hand, bounds.lease_ms, awake_or_asleep)
    exchanges = Exchanges(store, intake, hand)
    asking = Asking(store)
    aside = SettingAside(asking, hand)
    attempts = Attempts(asking, who, hand, aside, bounds.max_deliveries, backoff, clock)
    workers = Workers(who, hand, handler, bounds.concurrency, attempts, exchanges, changed)
    return Member(store, who, bounds, hand, intake, exchanges, tenure, aside, workers, changed)
