"""Exports of a study: asked for, looked at, downloaded."""

from fastapi import APIRouter, status
from fastapi.responses import StreamingResponse

from api.archive import stream_archive
from api.dependencies import OwnerGiven, ReadSession, SettingsGiven, WriteSession
from api.idempotency import IdempotentRoute
from api.routes.paths import ExportId, StudyId
from api.schemas import ExportList, ExportResponse
from studies import service
from studies.errors import Conflict, NotFound
from studies.records import Export

router = APIRouter(tags=["exports"], route_class=IdempotentRoute)


@router.post("/studies/{study_id}/exports", status_code=status.HTTP_202_ACCEPTED, response_model=ExportResponse)
def request_export(
    study_id: StudyId,
    request: service.ExportRequest,
    session: WriteSession,
    owner: OwnerGiven,
    settings: SettingsGiven,
) -> Export:
    """Ask for an export; the operation that writes it is named in the answer."""
    places = service.Places(settings.storage, settings.corpus_roots)
    _, export = service.request_export(session, owner, study_id, request, places)
    return export


@router.get("/studies/{study_id}/exports")
def list_exports(study_id: StudyId, session: ReadSession, owner: OwnerGiven) -> ExportList:
    """List a study's exports, newest first."""
    found = service.list_exports(session, owner, study_id)
    return ExportList(exports=[ExportResponse.model_validate(export) for export in found])


@router.get("/studies/{study_id}/exports/{export_id}", response_model=ExportResponse)
def get_export(study_id: StudyId, export_id: ExportId, session: ReadSession, owner: OwnerGiven) -> Export:
    """Show an export."""
    return service.get_export(session, owner, study_id, export_id)


@router.get(
    "/studies/{study_id}/exports/{export_id}/archive",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-tar": {}}, "description": "The export's files as a tar."}},
)
def get_archive(
    study_id: StudyId, export_id: ExportId, session: ReadSession, owner: OwnerGiven, settings: SettingsGiven
) -> StreamingResponse:
    """Download an export that is written."""
    export = service.get_export(session, owner, study_id, export_id)
    if export.folder is None:
        raise Conflict(f"export {export_id} is {export.state}; its archive can be read when it has SUCCEEDED")
    folder = settings.storage / export.folder
    if not folder.is_dir():
        raise NotFound(f"the files of export {export_id} are not in the storage any more; export it again")
    disposition = {"Content-Disposition": f'attachment; filename="formulary-export-{export_id}.tar"'}
    return StreamingResponse(stream_archive(folder), media_type="application/x-tar", headers=disposition)
