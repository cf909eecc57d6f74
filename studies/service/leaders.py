"""The leaders of a study on fresh seeds."""

from sqlalchemy.orm import Session

from studies.best_trials import leaders_of
from studies.leaders import Comparison, Leader
from studies.service.studies import get_study


def leaders(session: Session, owner: str, study_id: int) -> tuple[list[Leader], Comparison | None]:
    """As ``studies.best_trials.leaders_of``.

    Raises:
        NotFound: the owner has no such study.
    """
    return leaders_of(session, get_study(session, owner, study_id))
