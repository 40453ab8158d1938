"""The one error tree. Every error says what to do and carries its data as attributes.

RunStoreError
├── InvalidArgument        (ValueError)  a call was made with something it cannot take
│   ├── InvalidEvent                     an event that may not be stored
│   │   └── StateTooLarge                a state, or a value of it, that is too large
│   └── InvalidRunId                     a run id that may not be used
├── WrongExpectedVersion                 the run is not where the caller believed
├── IdempotencyConflict                  the key was used before, with other content
├── RunClosed                            the run has ended; its end is sticky
├── RunNotFound            (LookupError) no such run
├── PauseNotFound          (LookupError) the run has no such pause
├── AlreadyResumed                       another resume, decision or expiry won
├── PauseExpired                         the time in which it could be done is over
├── WrongToken                           a resume token that was not made here, or was changed
├── AnswerRejected                       an answer that does not fit what the pause asks for
├── SignalBufferFull                     the run keeps as many signals as it may
├── DefinitionChanged                    the workflow is not the one that was paused
├── UnknownGroup           (LookupError) no such consumer group
├── HistoryGap                           events that must exist are missing
├── LogRegressed                         the log ends before a place that was already read
├── CorruptEvent                         stored bytes are not the bytes that were written
├── NotDurable                           written, but not as safely as was asked
├── OutcomeUnknown                       the fate of an append is not known
├── StoreUnavailable                     the server cannot be reached
├── ServerRefused                        the server answered no (memory, disk, rights, version)
├── StoreMismatch                        store, database or file is not the one expected
├── ProjectionFailed                     a projection could not take an event
├── ImportFailed                         a line of an import file is not an event
└── WaitTimeout            (TimeoutError) what was waited for did not come in time
"""

from __future__ import annotations

from eventstore.errors.arguments import InvalidArgument, InvalidEvent, InvalidRunId, StateTooLarge
from eventstore.errors.base import RunStoreError
from eventstore.errors.history import CorruptEvent, HistoryGap, LogRegressed
from eventstore.errors.pauses import (
    AlreadyResumed,
    AnswerRejected,
    DefinitionChanged,
    PauseExpired,
    PauseNotFound,
    SignalBufferFull,
    WrongToken,
)
from eventstore.errors.readers import ImportFailed, ProjectionFailed, UnknownGroup, WaitTimeout
from eventstore.errors.runs import IdempotencyConflict, RunClosed, RunNotFound, WrongExpectedVersion
from eventstore.errors.server import (
    NotDurable,
    OutcomeUnknown,
    ServerRefused,
    StoreMismatch,
    StoreUnavailable,
)

__all__ = [
    "AlreadyResumed",
    "AnswerRejected",
    "CorruptEvent",
    "DefinitionChanged",
    "HistoryGap",
    "IdempotencyConflict",
    "ImportFailed",
    "InvalidArgument",
    "InvalidEvent",
    "InvalidRunId",
    "LogRegressed",
    "NotDurable",
    "OutcomeUnknown",
    "PauseExpired",
    "PauseNotFound",
    "ProjectionFailed",
    "RunClosed",
    "RunNotFound",
    "RunStoreError",
    "ServerRefused",
    "SignalBufferFull",
    "StateTooLarge",
    "StoreMismatch",
    "StoreUnavailable",
    "UnknownGroup",
    "WaitTimeout",
    "WrongExpectedVersion",
    "WrongToken",
]
