"""Events of a search become rows: one transaction an event, and none by a driver that lost its lease."""

import logging
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from search.events import (
    AttemptLost,
    TrialCompleted,
    TrialEvent,
    TrialFailed,
    TrialInfeasible,
    TrialProgress,
    TrialPruned,
    TrialStarted,
)
from studies.database import Database
from studies.records import TRAIN_LOSS, IntermediateValue, TrialState
from studies.repository import attempts, leases
from studies.repository.leases import Lease

FLUSH_AFTER_S = 1.0
"""Longest wait of progress for its write while more of it arrives (assumed: what a watcher does not mind)."""
MAX_REASON_CHARACTERS = 4000

_END_STATES: Mapping[type[TrialEvent], TrialState] = {
    TrialCompleted: TrialState.COMPLETE,
    TrialPruned: TrialState.PRUNED,
    TrialFailed: TrialState.FAIL,
    TrialInfeasible: TrialState.INFEASIBLE,
}

log = logging.getLogger(__name__)


class Recorder:
    """An observer of a search that stores what it sees.

    Every transaction first verifies the lease. The same event twice is stored once, and a finished trial is immutable.
    Progress is written together with the next event of another kind, or with the first progress that arrives
    ``FLUSH_AFTER_S`` after the last write. Values that are not finite are not stored; a trial that ends with one
    has failed.

    Raises:
        LeaseLost: (by a call) another driver has taken the study over.
    """

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database = database
        self._lease = lease
        self._progress: list[IntermediateValue] = []
        self._written_at = -math.inf

    def __call__(self, event: TrialEvent) -> None:
        """Store ``event``, or keep it for the next write when it is progress."""
        if isinstance(event, TrialProgress):
            self._progress += _finite_values(event)
            if time.monotonic() - self._written_at < FLUSH_AFTER_S:
                return
        self._write(event)

    def flush(self) -> None:
        """Write the progress that is kept back."""
        if self._progress:
            self._write(None)

    def _write(self, event: TrialEvent | None) -> None:
        with self._database.session() as session:
            leases.verify(session, self._lease)
            if self._progress:
                attempts.report(session, self._lease.id, self._progress)
            if event is not None and not _apply(session, self._lease.id, event, datetime.now(UTC)):
                log.info("study %d: %r changes nothing", self._lease.id, event)
        self._progress.clear()
        self._written_at = time.monotonic()


def _apply(session: Session, study_id: int, event: TrialEvent, now: datetime) -> bool:
    """Change the rows as ``event`` says; whether there was anything to change."""
    match event:
        case TrialProgress():
            return True
        case TrialStarted():
            return attempts.start(session, study_id, event.number, event.parameters, event.attributes, now)
        case TrialCompleted() | TrialPruned():
            return _finish(session, study_id, event, now)
        case TrialFailed() | TrialInfeasible():
            state, reason = _END_STATES[type(event)], _storable_reason(event.reason)
            return attempts.finish(session, study_id, event.number, state, {}, {}, reason, now)
        case AttemptLost():
            return attempts.lose(session, study_id, event.number, _storable_reason(event.reason), now)


def _finish(session: Session, study_id: int, event: TrialCompleted | TrialPruned, now: datetime) -> bool:
    unusable = sorted(name for name, value in event.metrics.items() if not math.isfinite(value))
    metrics = {name: value for name, value in event.metrics.items() if name not in unusable}
    state = TrialState.FAIL if unusable else _END_STATES[type(event)]
    told = _storable_reason(event.reason) if isinstance(event, TrialPruned) else None
    reason = f"the run ended with {', '.join(unusable)} not finite" if unusable else told
    return attempts.finish(session, study_id, event.number, state, metrics, event.attributes, reason, now)


def _finite_values(event: TrialProgress) -> list[IntermediateValue]:
    values = [(event.step, metric, value) for metric, value in event.values.items()]
    values += [(step, TRAIN_LOSS, loss) for step, loss in event.losses]
    return [IntermediateValue(event.number, *value) for value in values if math.isfinite(value[2])]


def _storable_reason(reason: str) -> str:
    """Cut a reason to size and take out the zero characters that PostgreSQL refuses."""
    return reason.replace("\0", "\N{REPLACEMENT CHARACTER}")[:MAX_REASON_CHARACTERS]
