"""Formulas: fitted to the trials of a study, and read."""

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from studies.errors import NotFound
from studies.formulas.formula import Formula
from studies.formulas.observations import FitContext, Observation, of_the_design
from studies.records import ACTIVE_STUDY_STATES
from studies.repository import formulas, studies, trials
from studies.service.studies import get_study


def fit(session: Session, study_id: int, finished: bool = True) -> list[Formula]:
    """Fit every law to a study's trials, as its next revision; nothing is stored.

    Of a study that estimates these are the trials of its declared design: see ``of_the_design``.

    Args:
        session: the transaction; it only reads.
        study_id: a study that exists.
        finished: whether the study has ended; before, verdicts are interim.
    """
    from studies.formulas.registry import fit_all  # loads scipy: a second that only fitting need take

    study = studies.get(session, study_id)
    if study is None:
        raise NotFound(f"there is no study {study_id}")
    objective = study.spec["objectives"][0]
    context = FitContext(
        studies=(str(study_id),),
        metric=objective["metric"],
        direction=objective["direction"],
        purpose=study.spec["purpose"],
        finished=finished,
        revision=formulas.latest_revision(session, study_id) + 1,
    )
    rows = of_the_design(trials.page(session, study_id, None, None), context.purpose)
    return fit_all([Observation.from_trial(trial) for trial in rows], context)


def fit_and_store(session: Session, study_id: int) -> list[Formula]:
    """Fit every law to a study's trials and store them as a new revision.

    Raises:
        NotFound: there is no such study.
    """
    study = studies.get(session, study_id)
    finished = study is not None and study.state not in ACTIVE_STUDY_STATES
    fitted = fit(session, study_id, finished)
    formulas.add(session, study_id, fitted, datetime.now(UTC))
    return fitted


def list_formulas(session: Session, owner: str, study_id: int) -> list[Formula]:
    """List the newest revision of a study's formulas.

    Raises:
        NotFound: the owner has no such study.
    """
    get_study(session, owner, study_id)
    return formulas.latest(session, study_id)
