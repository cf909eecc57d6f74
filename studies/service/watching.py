"""What changed in a study since a watcher last looked; nothing is kept between two looks but a revision.

A round begins with :func:`look`, whose study names the revision to go on from: what changes while the pages after it
are read has a later revision, and is read again in the next round.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from studies.records import ACTIVE_STUDY_STATES, IntermediateValue, Study, Trial, TrialState
from studies.repository import formulas, leases, operations, studies, trials, workers
from studies.service.ending import FIT
from studies.service.studies import get_study
from studies.tables import StudyRow

BEFORE_EVERYTHING = -1
"""Revision of a watcher that has seen nothing: what was imported has revision 0."""
TRIALS_A_PAGE = 500
VALUES_A_PAGE = 5000
"""Longest pages, some hundred KB of JSON each (derived from about 1 KB a trial and 80 bytes a value)."""


@dataclass(frozen=True, slots=True)
class Look:
    """A study that has changed, or has come to its end."""

    study: Study
    since: int
    """The revision after which everything is new."""
    settled: bool
    """Whether nothing will change any more: the study has ended, and no driver works on it."""
    trial_counts: Mapping[TrialState, int]
    formula_revision: int
    """Number of the newest fit, 0 before the first."""


def look(session: Session, owner: str, study_id: int, since: int) -> Look | None:
    """Look at a study; None when it goes on and nothing has changed after ``since``.

    A ``since`` that the study has not reached counts as none: the database was set back.

    Raises:
        NotFound: the owner has no such study.
    """
    if _is_unchanged(session, owner, study_id, since):
        return None
    study = get_study(session, owner, study_id)
    settled = study.state not in ACTIVE_STUDY_STATES and not _is_worked_on(session, study_id)
    if study.revision == since and not settled:
        return None
    return Look(
        study=study,
        since=since if since <= study.revision else BEFORE_EVERYTHING,
        settled=settled,
        trial_counts=trials.count_by_state(session, study_id),
        formula_revision=formulas.latest_revision(session, study_id),
    )


def _is_worked_on(session: Session, study_id: int) -> bool:
    """Whether a driver is just ending, or a worker that lives is still to fit the formulas of an external study."""
    if leases.is_held(session, StudyRow, study_id):
        return True
    return operations.is_open(session, study_id, FIT) and bool(workers.list_alive(session))


def _is_unchanged(session: Session, owner: str, study_id: int, since: int) -> bool:
    """Whether an active study is as it was: read often, so that it reads little."""
    row = studies.revision_of(session, study_id)
    return row is not None and row.owner == owner and row.state in ACTIVE_STUDY_STATES and row.revision == since


def changed_trials(session: Session, looked: Look, after: Trial | None) -> list[Trial]:
    """List a page of the trials that are new or changed, by number, starting after the last one of the page before."""
    after_number = None if after is None else after.number
    return trials.changed_since(session, looked.study.id, looked.since, after_number, TRIALS_A_PAGE)


def new_values(session: Session, looked: Look, after: IntermediateValue | None) -> list[IntermediateValue]:
    """List a page of the values that are new, by number and step, starting after the last one of the page before."""
    return trials.values_since(session, looked.study.id, looked.since, after, VALUES_A_PAGE)
