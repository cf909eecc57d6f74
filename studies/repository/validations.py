"""Queries on validations and on the studies that train their sizes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from studies.records import Validation
from studies.tables import ValidationRow, ValidationRungRow


def add(
    session: Session,
    study_id: int,
    request: Mapping[str, Any],
    plan: Mapping[str, Any],
    rungs: Sequence[int],
    now: datetime,
) -> Validation:
    """Insert a validation whose sizes are trained by the studies ``rungs``, ascending in size."""
    row = ValidationRow(study_id=study_id, request=dict(request), plan=dict(plan), created_at=now)
    session.add(row)
    session.flush()
    session.add_all(
        ValidationRungRow(validation_id=row.id, position=position, study_id=rung) for position, rung in enumerate(rungs)
    )
    session.flush()
    return _validation(row, tuple(rungs))


def get(session: Session, validation_id: int) -> Validation | None:
    """Find a validation."""
    row = session.get(ValidationRow, validation_id, populate_existing=True)
    return None if row is None else _validation(row, _rungs(session, [row.id]).get(row.id, ()))


def of_study(session: Session, study_id: int, size: int | None = None) -> list[Validation]:
    """List the ``size`` newest validations of a study's recipe, newest first."""
    newest = select(ValidationRow).where(ValidationRow.study_id == study_id).order_by(ValidationRow.id.desc())
    rows = list(session.scalars(newest.limit(size)))
    rungs = _rungs(session, [row.id for row in rows])
    return [_validation(row, rungs.get(row.id, ())) for row in rows]


def count(session: Session, study_id: int) -> int:
    """How many validations a study's recipe has had, those that are left."""
    counted = select(func.count()).select_from(ValidationRow).where(ValidationRow.study_id == study_id)
    return session.scalar(counted) or 0


def owning(session: Session, rung_study_id: int) -> Validation | None:
    """Find the validation of which a study trains one size."""
    found = select(ValidationRungRow.validation_id).where(ValidationRungRow.study_id == rung_study_id)
    validation_id = session.scalar(found.limit(1))
    return None if validation_id is None else get(session, validation_id)


def _rungs(session: Session, validation_ids: Sequence[int]) -> dict[int, tuple[int | None, ...]]:
    table = ValidationRungRow
    columns = select(table.validation_id, table.study_id).where(table.validation_id.in_(validation_ids))
    found: dict[int, tuple[int | None, ...]] = {}
    for validation_id, study_id in session.execute(columns.order_by(table.validation_id, table.position)):
        found[validation_id] = (*found.get(validation_id, ()), study_id)
    return found


def _validation(row: ValidationRow, rungs: tuple[int | None, ...]) -> Validation:
    return Validation(
        id=row.id,
        study_id=row.study_id,
        request=row.request,
        plan=row.plan,
        rungs=rungs,
        created_at=row.created_at,
    )
