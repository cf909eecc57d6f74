"""Claims studies for Ray Jobs, and judges the jobs before. What decides is in the rows; Ray's word does not count.

A claim holds the study's lease until the driver, which is given the lease's token, takes it over. A job that comes
late or twice has an old token and ends without touching anything.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from studies.database import Database
from studies.errors import LeaseHeld, LeaseLost, NotFound
from studies.process_identity import known_dead, this_process
from studies.records import TERMINAL_TRIAL_STATES, StudyState
from studies.repository import attempts, leases, queue, studies, trials
from studies.repository.leases import Lease
from studies.repository.queue import RUNNABLE_STATES, JobRecord, Open
from studies.tables import StudyRow

HANDOVER_TTL = timedelta(seconds=60)
"""How long a driver may take to start (assumed; 2 to 4 s measured, more on a cluster that scales up)."""
MAX_FRUITLESS_RUNS = 5
"""Jobs in a row that may end without a further finished trial before the study has failed (assumed)."""
FIRST_PAUSE = timedelta(seconds=4)
"""Least time between the starts of two jobs of a study; doubled by every fruitless one (assumed)."""
NO_PAUSE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Run:
    """A study that was claimed for a job."""

    lease: Lease
    job_id: str
    study_name: str


def claim_study(database: Database, dashboard_url: str, capacity: int) -> Run | None:
    """Claim the oldest study that waits for a driver; None when none does, or ``capacity`` studies have one."""
    with database.read_session() as session:
        found = queue.open_studies(session)
    driven = [study for study in found if study.held and not known_dead(study.holder)]
    if len(driven) >= capacity:
        return None
    waiting = (study for study in found if study not in driven and study.due)
    claims = (_claim(database, study, dashboard_url) for study in waiting)
    return next((run for run in claims if run is not None), None)


def give_back(database: Database, run: Run) -> None:
    """Let a study wait again whose job could not be submitted; the job is not counted."""
    try:
        with database.session() as session:
            leases.release(session, run.lease)
            queue.forget_run(session, run.lease.id)
            queue.set_job(session, run.lease.id, NO_PAUSE)
    except LeaseLost:
        return  # the job began after all, or the study was deleted


def _claim(database: Database, study: Open, dashboard_url: str) -> Run | None:
    with database.session() as session:
        try:
            lease = leases.claim(session, StudyRow, study.id, this_process(), HANDOVER_TTL, known_dead(study.holder))
        except (LeaseHeld, NotFound):
            return None
        record = queue.job_record(session, study.id)
        if record is None or record.state not in RUNNABLE_STATES:
            leases.release(session, lease)
            return None
        return _next_run(session, lease, record, dashboard_url)


def _next_run(session: Session, lease: Lease, record: JobRecord, dashboard_url: str) -> Run | None:
    """Note the next job of a claimed study, unless too many were in vain."""
    counts = trials.count_by_state(session, lease.id)
    finished = sum(count for state, count in counts.items() if state in TERMINAL_TRIAL_STATES)
    fruitless = _fruitless_runs(record, finished)
    if fruitless >= MAX_FRUITLESS_RUNS:
        _give_up(session, lease, record)
        return None
    run = Run(lease, f"study-{lease.id}-run-{lease.token}", record.name)
    queue.set_job(
        session,
        lease.id,
        FIRST_PAUSE * 2**fruitless,
        job_id=run.job_id,
        dashboard_url=dashboard_url,
        fruitless_runs=fruitless,
        finished_at_submission=finished,
    )
    return run


def _fruitless_runs(record: JobRecord, finished: int) -> int:
    """Jobs in a row, up to the newest one, that ended without a further finished trial."""
    if record.finished_at_submission is None:
        return record.fruitless_runs
    return record.fruitless_runs + 1 if finished <= record.finished_at_submission else 0


def _give_up(session: Session, lease: Lease, record: JobRecord) -> None:
    now = datetime.now(UTC)
    said = record.error or "its driver was killed, or never began"
    reason = f"{MAX_FRUITLESS_RUNS} jobs in a row ended without a further finished trial; the last one: {said}"
    where = f"see the log of job {record.job_id} in the Ray dashboard at {record.dashboard_url}"
    leases.release(session, lease)
    attempts.lose_all(session, lease.id, reason, now)
    studies.set_state(session, lease.id, StudyState.FAILED, error=f"{reason}; {where}", finished_at=now)
