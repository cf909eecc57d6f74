"""The trials of a study."""

from sqlalchemy.orm import Session

from studies.best_trials import BestTrials, best_of, winner
from studies.errors import NotFound
from studies.records import IntermediateValue, Trial
from studies.repository import trials
from studies.service.studies import get_study


def list_trials(
    session: Session, owner: str, study_id: int, after_number: int | None = None, size: int | None = None
) -> list[Trial]:
    """List trials by number: ``size`` of those above ``after_number``.

    Raises:
        NotFound: the owner has no such study.
    """
    get_study(session, owner, study_id)
    return trials.page(session, study_id, after_number, size)


def get_trial(session: Session, owner: str, study_id: int, number: int) -> Trial:
    """Find a trial.

    Raises:
        NotFound: the owner has no such study, or it has no such trial.
    """
    get_study(session, owner, study_id)
    trial = trials.get(session, study_id, number)
    if trial is None:
        raise NotFound(f"study {study_id} has no trial {number}")
    return trial


def list_intermediate_values(session: Session, owner: str, study_id: int, number: int) -> list[IntermediateValue]:
    """List what the latest attempt at a trial reported, by step; raises like ``get_trial``."""
    get_trial(session, owner, study_id, number)
    return trials.intermediate_values(session, study_id, number)


def best_trials(session: Session, owner: str, study_id: int, size: int | None = None) -> BestTrials:
    """List ``size`` complete trials by the study's objective, best first; of several objectives, those on the front,
    its knee always among them.

    Raises:
        NotFound: the owner has no such study.
    """
    return best_of(session, get_study(session, owner, study_id), size)


def best_trial(session: Session, owner: str, study_id: int) -> Trial | None:
    """Find the best complete trial, of several objectives the knee of the front; None before the first."""
    return winner(session, get_study(session, owner, study_id))
