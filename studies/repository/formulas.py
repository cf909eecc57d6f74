"""Queries on fitted formulas."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from studies.formulas.formula import Formula
from studies.tables import FormulaRow


def latest_revision(session: Session, study_id: int) -> int:
    """Read the number of the newest fit; 0 before the first."""
    newest = select(func.max(FormulaRow.revision)).where(FormulaRow.study_id == study_id)
    return session.scalar(newest) or 0


def add(session: Session, study_id: int, formulas: Sequence[Formula], now: datetime) -> None:
    """Insert the formulas of one fit."""
    rows = [
        {"study_id": study_id, "revision": f.revision, "document": f.model_dump(mode="json"), "created_at": now}
        for f in formulas
    ]
    if rows:
        session.execute(insert(FormulaRow), rows)


def latest(session: Session, study_id: int) -> list[Formula]:
    """List the formulas of the newest fit, in the order of the fit."""
    revision = latest_revision(session, study_id)
    statement = select(FormulaRow.document).where(FormulaRow.study_id == study_id, FormulaRow.revision == revision)
    return [Formula.model_validate(document) for document in session.scalars(statement.order_by(FormulaRow.id))]
