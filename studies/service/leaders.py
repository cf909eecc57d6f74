"""The best trials of a study, those on fresh seeds before all others."""

from sqlalchemy.orm import Session

from search.settings import Seeds
from studies.leaders import Comparison, Leader, compare, rank_leaders
from studies.records import ACTIVE_STUDY_STATES, Study, Trial
from studies.repository import trials
from studies.service.studies import get_study


def leaders_of(session: Session, study: Study) -> tuple[list[Leader], Comparison | None]:
    """Leaders by their means on fresh seeds, and the winner against the runner-up; none while the study goes on."""
    asked = study.spec.get("seeds")
    if asked is None or Seeds.model_validate(asked).count == 1 or study.state in ACTIVE_STUDY_STATES:
        return [], None
    objective = study.spec["objectives"][0]
    ranked = rank_leaders(trials.replicates(session, study.id), objective["metric"], objective["direction"])
    return ranked, compare(ranked, objective["direction"])


def leaders(session: Session, owner: str, study_id: int) -> tuple[list[Leader], Comparison | None]:
    """As ``leaders_of``.

    Raises:
        NotFound: the owner has no such study.
    """
    return leaders_of(session, get_study(session, owner, study_id))


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
