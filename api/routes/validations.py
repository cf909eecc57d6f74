"""Validations of a study's recipe: planned, asked for, looked at."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response, status

from api.dependencies import OwnerGiven, ReadSession, SettingsGiven, WriteSession, get_database
from api.idempotency import IdempotentRoute
from api.routes.paths import StudyId, ValidationId
from api.settings import Settings
from api.validation_schemas import ValidationList, ValidationResponse
from studies import service
from studies.database import Database
from studies.validation.request import ValidationPlan, ValidationRequest

router = APIRouter(tags=["validations"], route_class=IdempotentRoute)

GoOn = Annotated[
    bool, Query(description="Answer 200 with the newest validation of this request that still runs, if there is one.")
]


def _places(settings: Settings) -> service.Places:
    return service.Places(settings.storage, settings.corpus_roots)


def prepare_validation(
    study_id: StudyId,
    request: ValidationRequest,
    owner: OwnerGiven,
    settings: SettingsGiven,
    database: Annotated[Database, Depends(get_database)],
) -> service.PreparedValidation:
    """The validation of the body, planned. Routes name it before their session, which only stores."""
    with database.read_session() as session:
        return service.prepare_validation(session, owner, study_id, request, _places(settings))


@router.get("/studies/{study_id}/validation-plan")
def plan_validation(
    study_id: StudyId,
    request: Annotated[ValidationRequest, Query()],
    owner: OwnerGiven,
    settings: SettingsGiven,
    session: ReadSession,
) -> ValidationPlan:
    """Say what a validation would train and cost."""
    return service.prepare_validation(session, owner, study_id, request, _places(settings)).plan


@router.post("/studies/{study_id}/validations", status_code=status.HTTP_201_CREATED, response_model=ValidationResponse)
def create_validation(
    study_id: StudyId,
    prepared: Annotated[service.PreparedValidation, Depends(prepare_validation)],
    session: WriteSession,
    owner: OwnerGiven,
    response: Response,
    continue_unfinished: GoOn = False,
) -> service.JudgedValidation:
    """Train the recipe and its rivals at growing sizes: a queued study for each size."""
    if continue_unfinished:
        unfinished = service.find_unfinished_validation(session, owner, study_id, prepared.request)
        if unfinished is not None:
            response.status_code = status.HTTP_200_OK
            return unfinished
    created = service.add_validation(session, owner, prepared)
    return service.get_validation(session, owner, study_id, created.id)


@router.get("/studies/{study_id}/validations")
def list_validations(study_id: StudyId, session: ReadSession, owner: OwnerGiven) -> ValidationList:
    """List the newest validations of a study's recipe, newest first."""
    found = service.list_validations(session, owner, study_id)
    return ValidationList(validations=[ValidationResponse.model_validate(one) for one in found])


@router.get("/studies/{study_id}/validations/{validation_id}", response_model=ValidationResponse)
def get_validation(
    study_id: StudyId, validation_id: ValidationId, session: ReadSession, owner: OwnerGiven
) -> service.JudgedValidation:
    """Judge a validation by its trials as they are now."""
    return service.get_validation(session, owner, study_id, validation_id)
