"""How a study ends whose trials have ended."""

from datetime import datetime

from sqlalchemy.orm import Session

from studies.records import StudyState, TrialState
from studies.repository import attempts, operations, studies, trials

FIT = "fit"
"""Kind of the operation that fits a study's formulas."""


def end_study(session: Session, study_id: int, now: datetime) -> bool:
    """End a study: COMPLETED, or FAILED where no trial is complete, with the reason; whether it is completed."""
    completed = TrialState.COMPLETE in trials.count_by_state(session, study_id)
    error = None if completed else _why_none_completed(session, study_id)
    state = StudyState.COMPLETED if completed else StudyState.FAILED
    studies.set_state(session, study_id, state, error=error, finished_at=now)
    return completed


def end_external_study(session: Session, study_id: int, now: datetime) -> None:
    """End a study whose trials others train; a worker fits its formulas, since nobody drives it."""
    attempts.lose_all(session, study_id, "the study was stopped", now)
    if end_study(session, study_id, now):
        operations.add(session, study_id, FIT, {}, now)


def _why_none_completed(session: Session, study_id: int) -> str:
    first = next(iter(trials.page(session, study_id, None, 1)), None)
    if first is None:
        return "no trial was run"
    return f"no trial completed; trial {first.number} is {first.state}: {first.reason or 'no reason was given'}"
