"""The trials of a study."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from studies.errors import NotFound
from studies.front import Front, find_front
from studies.records import IntermediateValue, Trial
from studies.repository import overviews, trials
from studies.service.leaders import best_by_objective
from studies.service.studies import get_study

BEST_SIZE = 10
"""Best trials of one objective that are listed unless asked otherwise."""
MAX_FRONT = 1000
"""Most trials of a front that are listed (assumed: a page of the API)."""


@dataclass(frozen=True, slots=True)
class BestTrials:
    """The best trials of a study."""

    trials: Sequence[Trial]
    """Best first; of several objectives, those on the front, the best one by the first objective first."""
    front: Front | None
    """The whole front; None with one objective."""


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
    study = get_study(session, owner, study_id)
    objectives = study.spec["objectives"]
    if len(objectives) == 1:
        return BestTrials(best_by_objective(session, study, size or BEST_SIZE), None)
    values = overviews.objective_values(session, study_id, [objective["metric"] for objective in objectives])
    front = find_front([objective["direction"] for objective in objectives], values)
    return BestTrials(trials.listed(session, study_id, front.shortened(size or MAX_FRONT)), front)


def best_trial(session: Session, owner: str, study_id: int) -> Trial | None:
    """Find the best complete trial, of several objectives the knee of the front; None before the first."""
    return next(iter(best_trials(session, owner, study_id, 1).trials), None)
