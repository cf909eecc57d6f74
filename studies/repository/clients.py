"""Queries on trials that others train: who has them, and until when."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Row, Select, func, select, update
from sqlalchemy.orm import Session

from studies.records import TrialState
from studies.repository.leases import database_now
from studies.tables import TrialRow


def hand_over(session: Session, study_id: int, numbers: Sequence[int], client: str, time: timedelta) -> None:
    """Let a client have trials for some time from now."""
    these = (TrialRow.study_id == study_id, TrialRow.number.in_(numbers))
    due_at = database_now(session) + time
    session.execute(update(TrialRow).where(*these).values(client=client, due_at=due_at))


def renew(session: Session, study_id: int, number: int, time: timedelta) -> None:
    """Let a trial stay with its client for some time from now."""
    this = (TrialRow.study_id == study_id, TrialRow.number == number)
    session.execute(update(TrialRow).where(*this).values(due_at=database_now(session) + time))


def numbers_of(session: Session, study_id: int, client: str) -> list[int]:
    """List the running trials that a client has, by number."""
    return list(session.scalars(_running(study_id).where(TrialRow.client == client)))


def count_running(session: Session, study_id: int) -> dict[str, int]:
    """Count the running trials of each client, by its name."""
    running = (TrialRow.study_id == study_id, TrialRow.state == TrialState.RUNNING, TrialRow.client.is_not(None))
    counted = select(TrialRow.client, func.count()).where(*running).group_by(TrialRow.client).order_by(TrialRow.client)
    return {str(client): count for client, count in session.execute(counted)}


def overdue(session: Session, study_id: int) -> list[int]:
    """List the running trials whose clients have said nothing for their time, by number."""
    return list(session.scalars(_running(study_id).where(TrialRow.due_at < database_now(session))))


def holder(session: Session, study_id: int, number: int) -> Row[TrialState, str | None] | None:
    """Read a trial's state, and who has or had it; None where there is no such trial."""
    columns = select(TrialRow.state, TrialRow.client)
    return session.execute(columns.where(TrialRow.study_id == study_id, TrialRow.number == number)).one_or_none()


def _running(study_id: int) -> Select[int]:
    running = (TrialRow.study_id == study_id, TrialRow.state == TrialState.RUNNING)
    return select(TrialRow.number).where(*running).order_by(TrialRow.number)
