"""Studies: created, imported, listed, controlled and deleted."""

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, BackgroundTasks, Body, Depends, Query, Response, status

from api.dependencies import OwnerGiven, ReadSession, SettingsGiven, WriteSession
from api.idempotency import IdempotentRoute
from api.openapi.examples import load_examples
from api.pages import DEFAULT_PAGE_SIZE, PageSize, PageToken, cut
from api.routes.paths import StudyId
from api.schemas import CreatedStudy, SpecDocument, StudyPage, StudyResponse
from api.space_schemas import SpaceResponse
from studies import service
from studies.database import Session
from studies.export_folders import remove_exports, remove_weights
from studies.records import Study
from studies.spec import Purpose, StudySpec

router = APIRouter(tags=["studies"], route_class=IdempotentRoute)

Verb = Literal["pause", "resume", "stop", "cancel"]
VERBS: dict[Verb, Callable[..., Study]] = {
    "pause": service.pause_study,
    "resume": service.resume_study,
    "stop": service.stop_study,
    "cancel": service.cancel_study,
}
TABLE = "depth,learning_rate,bits_per_byte\n4,0.001,2.61\n4,0.002,2.55\n8,0.002,2.58\n"
GoOn = Annotated[bool, Query(description="Answer 200 with the newest unfinished study of this spec, if there is one.")]


def prepare_spec(
    document: Annotated[SpecDocument, Body(examples=[load_examples()["StudySpec"]])], settings: SettingsGiven
) -> StudySpec:
    """The spec of the body, checked. Routes name it before their session: a corpus is read outside of transactions."""
    return service.prepare_spec(document, settings.corpus_roots)


@router.post("/studies", status_code=status.HTTP_201_CREATED)
def create_study(
    spec: Annotated[StudySpec, Depends(prepare_spec)],
    session: WriteSession,
    owner: OwnerGiven,
    response: Response,
    continue_unfinished: GoOn = False,
) -> CreatedStudy:
    """Create a study from its spec; it waits in state QUEUED."""
    if continue_unfinished:
        unfinished = service.find_unfinished(session, owner, spec)
        if unfinished is not None:
            response.status_code = status.HTTP_200_OK
            return with_warnings(session, unfinished)
    return with_warnings(session, service.add_prepared_study(session, owner, spec))


def with_warnings(session: Session, study: Study) -> CreatedStudy:
    """The study, with what is legal in its spec and may not be meant."""
    shown = StudyResponse.model_validate(study).model_dump()
    return CreatedStudy(**shown, warnings=service.warnings_of(session, study))


def read_table(
    table: Annotated[bytes, Body(media_type="text/csv", examples=[TABLE])],
    name: str,
    objective: Annotated[str, Query(description="METRIC, METRIC:minimize or METRIC:maximize")],
    purpose: Purpose = "estimate",
) -> service.ReadTable:
    """The table of the body, read and fitted; like ``prepare_spec``, outside of transactions."""
    return service.read_import(name, objective, purpose, table)


@router.post("/studies:import", status_code=status.HTTP_201_CREATED, response_model=StudyResponse)
def import_study(
    table: Annotated[service.ReadTable, Depends(read_table)], session: WriteSession, owner: OwnerGiven
) -> Study:
    """Create a completed study from a CSV table of runs, and fit its formulas."""
    return service.add_import(session, owner, table)


@router.get("/studies")
def list_studies(
    session: ReadSession, owner: OwnerGiven, page_size: PageSize = DEFAULT_PAGE_SIZE, page_token: PageToken = None
) -> StudyPage:
    """List studies, newest first."""
    found = service.list_studies(session, owner, page_token, page_size + 1)
    page, token = cut(found, page_size, lambda study: study.id)
    return StudyPage(studies=[StudyResponse.model_validate(study) for study in page], next_page_token=token)


@router.get("/studies/{study_id}", response_model=StudyResponse)
def get_study(study_id: StudyId, session: ReadSession, owner: OwnerGiven) -> Study:
    """Show a study."""
    return service.get_study(session, owner, study_id)


@router.get("/studies/{study_id}/space")
def get_space(study_id: StudyId, session: ReadSession, owner: OwnerGiven) -> SpaceResponse:
    """Describe the points that a study chooses from, what excludes others, and what the trials cost."""
    return SpaceResponse.of(*service.get_space(session, owner, study_id))


@router.delete("/studies/{study_id}", status_code=status.HTTP_204_NO_CONTENT)
def delete_study(
    study_id: StudyId, session: WriteSession, owner: OwnerGiven, settings: SettingsGiven, tasks: BackgroundTasks
) -> None:
    """Delete a study with its trials, formulas, exports and kept weights; the files go after the commit."""
    left = service.delete_study(session, owner, study_id)
    tasks.add_task(remove_exports, settings.storage, left.exports)
    tasks.add_task(remove_weights, settings.storage, left.weights)


@router.post("/studies/{study_id}:clone", status_code=status.HTTP_201_CREATED)
def clone_study(study_id: StudyId, session: WriteSession, owner: OwnerGiven, settings: SettingsGiven) -> CreatedStudy:
    """Create a study of the same spec; it waits in state QUEUED."""
    return with_warnings(session, service.clone_study(session, owner, study_id, settings.corpus_roots))


@router.post("/studies/{study_id}:{verb}", response_model=StudyResponse)
def control_study(study_id: StudyId, verb: Verb, session: WriteSession, owner: OwnerGiven) -> Study:
    """Pause, resume, stop or cancel a study."""
    return VERBS[verb](session, owner, study_id)
