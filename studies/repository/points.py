"""Queries on the points that users enqueue, and on what has been tried."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, select
from sqlalchemy.orm import Session

from search.orders import EnqueuedPoint
from studies.tables import EnqueuedPointRow, TrialRow


def add(
    session: Session, study_id: int, points: Sequence[Mapping[str, Any]], may_repeat: bool, now: datetime
) -> list[EnqueuedPoint]:
    """Insert points after those that are there; a lock on the study keeps others from the same places."""
    first = count(session, study_id)
    added = [EnqueuedPoint(first + index, point, may_repeat) for index, point in enumerate(points)]
    rows = [
        {
            "study_id": study_id,
            "position": point.position,
            "point": dict(point.values),
            "may_repeat": may_repeat,
            "created_at": now,
        }
        for point in added
    ]
    session.execute(insert(EnqueuedPointRow), rows)
    return added


def count(session: Session, study_id: int) -> int:
    """Count the points that were ever enqueued; their positions are those below."""
    return session.scalar(select(func.count()).where(EnqueuedPointRow.study_id == study_id)) or 0


def page(session: Session, study_id: int) -> tuple[EnqueuedPoint, ...]:
    """List all points by position."""
    table = EnqueuedPointRow
    columns = select(table.position, table.point, table.may_repeat).where(table.study_id == study_id)
    return tuple(EnqueuedPoint(*row) for row in session.execute(columns.order_by(table.position)))


def tried(session: Session, study_id: int) -> Sequence[Row[int, dict[str, Any], dict[str, Any]]]:
    """Read number, parameters and attributes of every trial."""
    columns = select(TrialRow.number, TrialRow.parameters, TrialRow.attributes).where(TrialRow.study_id == study_id)
    return session.execute(columns.order_by(TrialRow.number)).all()
