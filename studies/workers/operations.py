"""Executes operations. Only who executes imports this module: exports load torch."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model.errors import FormularyError
from studies import service
from studies.database import Database
from studies.errors import Conflict, NotFound
from studies.export_folders import export_folder, half_written, remove_exports, remove_half_written
from studies.exports import collect_provenance, write_export
from studies.heartbeat import LEASE_TTL, Heartbeat
from studies.process_identity import this_process
from studies.recipe_models import Places
from studies.records import ACTIVE_STUDY_STATES, Operation, OperationState, TrialState
from studies.repository import formulas, leases, operations, studies, trials
from studies.repository.leases import Lease
from studies.repository.queue import UNFINISHED_STATES
from studies.service.ending import FIT
from studies.service.exports import EXPORT
from studies.service.formulas import fit
from studies.spec import StudySpec
from studies.tables import OperationRow
from studies.validation.statement import OF_A_TRIAL

MAX_TRIES = 5
"""How often an operation is begun whose executors die, before it has failed (assumed)."""


def execute_operation(
    database: Database, operation_id: int, storage: Path, dead_holder: str | None = None
) -> Operation:
    """Execute an operation and store its result, or the error that the user is shown.

    An operation whose executor died is executed again once its lease has expired, and at once where the executor is
    ``dead_holder``, a process known to have ended. That happens ``MAX_TRIES`` times at most.

    Raises:
        NotFound: there is no such operation.
        Conflict: it has ended, or another process executes it.
        Exception: an error inside Formulary, after it was noted in the row.
    """
    operation, lease = _claim(database, operation_id, dead_holder)
    if lease.token > MAX_TRIES:
        return _end(database, lease, OperationState.FAILED, error=f"{MAX_TRIES} processes ended while they executed it")
    try:
        with Heartbeat(database, lease):
            result = EXECUTORS[operation.kind](database, operation, storage)
    except FormularyError as error:
        return _end(database, lease, OperationState.FAILED, error=str(error))
    except Exception as error:
        _end(database, lease, OperationState.FAILED, error=f"{type(error).__name__} inside Formulary; see its log")
        raise
    return _end(database, lease, OperationState.SUCCEEDED, result=dict(result))


def _claim(database: Database, operation_id: int, dead_holder: str | None) -> tuple[Operation, Lease]:
    with database.session() as session:
        lease = leases.claim(session, OperationRow, operation_id, this_process(), LEASE_TTL, dead_holder)
        operation = operations.get(session, operation_id)
        if operation is None:
            raise NotFound(f"there is no operation {operation_id}")
        if operation.state not in UNFINISHED_STATES:
            raise Conflict(f"operation {operation_id} is {operation.state}")
        operations.set_state(session, operation_id, OperationState.RUNNING)
        return operation, lease


def _end(database: Database, lease: Lease, state: OperationState, **values: Any) -> Operation:
    with database.session() as session:
        leases.release(session, lease)
        operations.set_state(session, lease.id, state, finished_at=datetime.now(UTC), **values)
        operation = operations.get(session, lease.id)
    if operation is None:
        raise NotFound(f"{lease} is gone")
    return operation


def _write_export(database: Database, operation: Operation, storage: Path) -> Mapping[str, Any]:
    """Write the export's folder below ``storage``; what executors that died left there is removed."""
    request = service.ExportRequest.model_validate(operation.request)
    with database.read_session() as session:
        study = studies.get(session, operation.study_id)
        export = operations.export_of(session, operation.id)
        if study is None or export is None:
            raise NotFound(f"study {operation.study_id} was deleted")
        recipe = service.recipe(session, study.owner, study.id, request, Places(storage, roots=None))
        laws = service.list_formulas(session, study.owner, study.id, request.further)
        complete = trials.numbers(session, study.id, TrialState.COMPLETE)
        validation = service.validation_statement(session, study.id, recipe) if request.target() else OF_A_TRIAL
    remove_exports(storage, [export.id])
    _remove_abandoned(database, storage, export.id)
    folder = export_folder(export.id)
    provenance = collect_provenance(study.id, StudySpec.model_validate(study.spec), complete, laws, validation)
    manifest = write_export(request.format, recipe, provenance, storage, storage / folder)
    with database.session() as session:
        kept = operations.set_export_folder(session, export.id, folder)
    if not kept:
        remove_exports(storage, [export.id])
        raise NotFound(f"study {operation.study_id} was deleted")
    return {"export_id": export.id, **manifest.model_dump(mode="json")}


def _remove_abandoned(database: Database, storage: Path, own: int) -> None:
    """Remove half-written folders of exports that no other process works on.

    A writer claims its lease before it makes its folder: folders are looked for first, and leases afterwards.
    """
    found = half_written(storage)
    with database.read_session() as session:
        in_work = operations.exports_in_work(session) - {own}
    remove_half_written(folder for folder, export_id in found.items() if export_id not in in_work)


def _fit(database: Database, operation: Operation, storage: Path) -> Mapping[str, Any]:
    """Fit the formulas of a study that nobody drives."""
    with database.read_session() as session:
        state = studies.state_of(session, operation.study_id)
        fitted = fit(session, operation.study_id, finished=state not in ACTIVE_STUDY_STATES)
    with database.session() as session:
        formulas.add(session, operation.study_id, fitted, datetime.now(UTC))
    return {"formulas": len(fitted)}


EXECUTORS: Mapping[str, Callable[[Database, Operation, Path], Mapping[str, Any]]] = {EXPORT: _write_export, FIT: _fit}
"""What is done for each kind of operation; the result is kept in the row."""
