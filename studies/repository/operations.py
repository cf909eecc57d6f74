"""Queries on operations and on the exports that some of them write."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from studies.records import Export, Operation, OperationState
from studies.repository.leases import database_now
from studies.tables import ExportRow, OperationRow


def add(session: Session, study_id: int, kind: str, request: Mapping[str, Any], now: datetime) -> Operation:
    """Insert a pending operation."""
    row = OperationRow(
        study_id=study_id, kind=kind, state=OperationState.PENDING, request=dict(request), created_at=now
    )
    session.add(row)
    session.flush()
    return _operation(row)


def get(session: Session, operation_id: int) -> Operation | None:
    """Find an operation."""
    statement = select(OperationRow).where(OperationRow.id == operation_id).execution_options(populate_existing=True)
    row = session.scalar(statement)
    return None if row is None else _operation(row)


def is_open(session: Session, study_id: int, kind: str) -> bool:
    """Whether an operation of one kind on a study has not ended."""
    table = OperationRow
    open_ones = (table.study_id == study_id, table.kind == kind, table.finished_at.is_(None))
    return session.scalar(select(table.id).where(*open_ones).limit(1)) is not None


def set_state(session: Session, operation_id: int, state: OperationState, **values: Any) -> None:
    """Change an operation's state, and other columns with it."""
    session.execute(update(OperationRow).where(OperationRow.id == operation_id).values(state=state, **values))


def add_export(session: Session, operation: Operation, format: str, now: datetime) -> Export:
    """Insert the export that ``operation`` is to write."""
    row = ExportRow(
        study_id=operation.study_id,
        operation_id=operation.id,
        format=format,
        request=dict(operation.request),
        created_at=now,
    )
    session.add(row)
    session.flush()
    return _export(row, operation.state)


def get_export(session: Session, export_id: int) -> Export | None:
    """Find an export."""
    found = session.execute(_exports().where(ExportRow.id == export_id)).one_or_none()
    return None if found is None else _export(*found)


def export_of(session: Session, operation_id: int) -> Export | None:
    """Find the export that an operation writes."""
    found = session.execute(_exports().where(ExportRow.operation_id == operation_id)).one_or_none()
    return None if found is None else _export(*found)


def list_exports(session: Session, study_id: int) -> list[Export]:
    """List a study's exports, newest first."""
    found = session.execute(_exports().where(ExportRow.study_id == study_id).order_by(ExportRow.id.desc()))
    return [_export(*row) for row in found]


def set_export_folder(session: Session, export_id: int, folder: str) -> bool:
    """Note where the export lies, relative to the storage root; whether there still is such an export."""
    statement = update(ExportRow).where(ExportRow.id == export_id).values(folder=folder).returning(ExportRow.id)
    return session.scalar(statement) is not None


def exports_in_work(session: Session) -> set[int]:
    """Ids of the exports whose operation a process holds the lease of."""
    joined = select(ExportRow.id).join(OperationRow, ExportRow.operation_id == OperationRow.id)
    return set(session.scalars(joined.where(OperationRow.lease_expires_at > database_now(session))))


def _exports() -> Select[ExportRow, OperationState, Any]:
    columns = select(ExportRow, OperationRow.state, OperationRow.result)
    joined = columns.join(OperationRow, ExportRow.operation_id == OperationRow.id)
    return joined.execution_options(populate_existing=True)


def _operation(row: OperationRow) -> Operation:
    return Operation(
        id=row.id,
        study_id=row.study_id,
        kind=row.kind,
        state=row.state,
        request=row.request,
        result=row.result,
        error=row.error,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


def _export(row: ExportRow, state: OperationState, result: Mapping[str, Any] | None = None) -> Export:
    return Export(
        id=row.id,
        study_id=row.study_id,
        format=row.format,
        state=state,
        operation_id=row.operation_id,
        request=row.request,
        folder=row.folder,
        created_at=row.created_at,
        result=result,
    )
