"""Queries on studies."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from studies.records import ACTIVE_STUDY_STATES, Study, StudyState
from studies.tables import StudyRow, table_of

_STUDIES = table_of(StudyRow)
_TOUCH = (
    update(_STUDIES)
    .where(_STUDIES.c.id == bindparam("of_id"))
    .values(revision=_STUDIES.c.revision + 1)
    .returning(_STUDIES.c.revision)
)


def add(
    session: Session, owner: str, name: str, state: StudyState, spec: Mapping[str, Any], digest: str, now: datetime
) -> Study:
    """Insert a study."""
    external = spec.get("execution") == "external"
    row = StudyRow(
        owner=owner, name=name, state=state, spec=dict(spec), digest=digest, external=external, created_at=now
    )
    session.add(row)
    session.flush()
    return _study(row)


def get(session: Session, study_id: int) -> Study | None:
    """Find a study."""
    row = session.scalar(_fresh().where(StudyRow.id == study_id))
    return None if row is None else _study(row)


def find_by_digest(session: Session, owner: str, digest: str, states: Collection[StudyState]) -> Study | None:
    """Find the owner's newest study with this spec in one of ``states``."""
    statement = _fresh().where(StudyRow.owner == owner, StudyRow.digest == digest, StudyRow.state.in_(states))
    row = session.scalar(statement.order_by(StudyRow.id.desc()).limit(1))
    return None if row is None else _study(row)


def active(session: Session, owner: str) -> list[Study]:
    """List the owner's studies that have not ended."""
    statement = _fresh().where(StudyRow.owner == owner, StudyRow.state.in_(ACTIVE_STUDY_STATES))
    return [_study(row) for row in session.scalars(statement.order_by(StudyRow.id))]


def page(
    session: Session,
    owner: str,
    before_id: int | None,
    size: int | None,
    states: Collection[StudyState] = frozenset(StudyState),
    text: str = "",
) -> list[Study]:
    """List the owner's studies in ``states`` whose name holds ``text``, newest first, starting below ``before_id``."""
    statement = _fresh().where(StudyRow.owner == owner, StudyRow.state.in_(states))
    if text:
        statement = statement.where(func.lower(StudyRow.name).contains(text.lower(), autoescape=True))
    if before_id is not None:
        statement = statement.where(StudyRow.id < before_id)
    return [_study(row) for row in session.scalars(statement.order_by(StudyRow.id.desc()).limit(size))]


def count_by_state(session: Session) -> dict[StudyState, int]:
    """Count the studies of all owners."""
    counted = select(StudyRow.state, func.count()).group_by(StudyRow.state)
    return dict(session.execute(counted).all())


def state_of(session: Session, study_id: int) -> StudyState | None:
    """Read a study's state; None when it is gone."""
    return session.scalar(select(StudyRow.state).where(StudyRow.id == study_id))


def revision_of(session: Session, study_id: int) -> Row[str, StudyState, int] | None:
    """Read a study's owner, state and revision; None when it is gone."""
    columns = select(StudyRow.owner, StudyRow.state, StudyRow.revision)
    return session.execute(columns.where(StudyRow.id == study_id)).one_or_none()


def set_state(session: Session, study_id: int, state: StudyState, **values: Any) -> None:
    """Change a study's state, and other columns with it."""
    changed = {"state": state, "revision": StudyRow.revision + 1, **values}
    session.execute(update(StudyRow).where(StudyRow.id == study_id).values(**changed))


def touch(session: Session, study_id: int) -> int:
    """Raise a study's revision and keep the row until the transaction ends; the new revision, 0 when it is gone."""
    return session.connection().scalar(_TOUCH, {"of_id": study_id}) or 0


def remove(session: Session, study_id: int) -> None:
    """Delete a study with everything below it."""
    session.execute(delete(StudyRow).where(StudyRow.id == study_id))


def _fresh() -> Select[StudyRow]:
    """Select studies as they are now, whatever this session read before."""
    return select(StudyRow).execution_options(populate_existing=True)


def _study(row: StudyRow) -> Study:
    return Study(
        id=row.id,
        owner=row.owner,
        name=row.name,
        state=row.state,
        spec=row.spec,
        revision=row.revision,
        job_id=row.job_id,
        dashboard_url=row.dashboard_url,
        error=row.error,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
