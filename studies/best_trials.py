"""The best trials of a study: by one objective, with those on fresh seeds before all others; of several, the front."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from search.settings import Seeds
from studies.front import Front, find_front
from studies.leaders import Comparison, Leader, compare, rank_leaders
from studies.records import ACTIVE_STUDY_STATES, Study, Trial
from studies.repository import overviews, trials

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


def leaders_of(session: Session, study: Study) -> tuple[list[Leader], Comparison | None]:
    """Leaders by their means on fresh seeds, and the winner against the runner-up; none while the study goes on."""
    asked = study.spec.get("seeds")
    if asked is None or Seeds.model_validate(asked).count == 1 or study.state in ACTIVE_STUDY_STATES:
        return [], None
    objective = study.spec["objectives"][0]
    ranked = rank_leaders(trials.replicates(session, study.id), objective["metric"], objective["direction"])
    return ranked, compare(ranked, objective["direction"])


def best_by_objective(session: Session, study: Study, size: int) -> list[Trial]:
    """The ``size`` best complete trials, best first: leaders by their means on fresh seeds, then by their own value.

    Replicates themselves are not listed: the best of them is the luckiest one.
    """
    objective = study.spec["objectives"][0]
    ranked, _ = leaders_of(session, study)
    first = [leader.number for leader in ranked[:size]]
    listed = trials.listed(session, study.id, first)
    own = trials.best(session, study.id, objective["metric"], objective["direction"], size + len(first))
    others = [trial for trial in own if trial.number not in first]
    return [*listed, *others][:size]


def best_of(session: Session, study: Study, size: int | None = None) -> BestTrials:
    """``size`` complete trials by the study's objective, best first; of several objectives, those on the front, its
    knee always among them.
    """
    objectives = study.spec["objectives"]
    if len(objectives) == 1:
        return BestTrials(best_by_objective(session, study, size or BEST_SIZE), None)
    values = overviews.objective_values(session, study.id, [objective["metric"] for objective in objectives])
    front = find_front([objective["direction"] for objective in objectives], values)
    return BestTrials(trials.listed(session, study.id, front.shortened(size or MAX_FRONT)), front)


def winner(session: Session, study: Study) -> Trial | None:
    """The best complete trial, of several objectives the knee of the front; None before the first."""
    return next(iter(best_of(session, study, 1).trials), None)
