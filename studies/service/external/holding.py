"""Holding a study while a client asks or tells, and what may be told of a trial."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from search.problem import Values
from studies.errors import Conflict, NotFound
from studies.plans import ExternalSearch
from studies.process_identity import this_process
from studies.records import ACTIVE_STUDY_STATES, Study, Trial, TrialState
from studies.repository import clients, leases, trials
from studies.service.ending import end_external_study
from studies.service.studies import get_study
from studies.spec import StudySpec, stored_spec
from studies.tables import StudyRow

REQUEST_TTL = timedelta(seconds=60)
"""Lease of a request, which gives it back when it ends (assumed: longer than any takes)."""


@contextmanager
def held(session: Session, owner: str, study_id: int) -> Iterator[tuple[Study, StudySpec]]:
    """The study, whose row and lease are held until the transaction ends, or the block does without an error."""
    get_study(session, owner, study_id)
    lease = leases.claim(session, StudyRow, study_id, this_process(), REQUEST_TTL)
    study = get_study(session, owner, study_id)
    spec = stored_spec(study.spec)
    if not isinstance(spec, StudySpec) or spec.execution != "external":
        remedy = "create one with execution: external to train its trials elsewhere"
        raise Conflict(f"workers train the trials of study {study_id}, or it was imported; {remedy}")
    yield study, spec
    leases.release(session, lease)


def tellable(session: Session, study: Study, number: int, client: str | None) -> TrialState:
    """RUNNING where a client may tell of a trial, PRUNED where it was stopped.

    Raises:
        NotFound: there is no such trial.
        Conflict: it is neither, or another client's, or the study has ended.
    """
    row = clients.holder(session, study.id, number)
    if row is None:
        raise NotFound(f"study {study.id} has no trial {number}")
    if client is not None and row.client != client:
        raise Conflict(f"trial {number} is not {client}'s: its time ran out, and it went on; ask for another")
    if row.state is TrialState.WAITING:
        raise Conflict(f"trial {number} waits: its time ran out, or the study was stopped; ask for trials again")
    if row.state not in (TrialState.RUNNING, TrialState.PRUNED):
        raise Conflict(f"trial {number} is {row.state}; it cannot change any more")
    if study.state not in ACTIVE_STUDY_STATES and row.state is TrialState.RUNNING:
        raise Conflict(f"study {study.id} is {study.state}; its trials cannot go on")
    state: TrialState = row.state
    return state


def objective_values(spec: StudySpec, metrics: Mapping[str, float]) -> Values | None:
    """The objectives among ``metrics``; None where one is missing."""
    values = tuple(metrics[each.metric] for each in spec.objectives if each.metric in metrics)
    return values if len(values) == len(spec.objectives) else None


def end_if_finished(session: Session, search: ExternalSearch, study_id: int) -> None:
    """End the study where its plan has nothing left."""
    if search.plan.finished:
        end_external_study(session, study_id, datetime.now(UTC))


def trial_of(session: Session, study_id: int, number: int) -> Trial:
    """Find a trial.

    Raises:
        NotFound: there is none.
    """
    found = trials.get(session, study_id, number)
    if found is None:
        raise NotFound(f"study {study_id} has no trial {number}")
    return found
