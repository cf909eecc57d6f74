"""The trials of a study."""

from fastapi import APIRouter

from api.dependencies import OwnerGiven, ReadSession
from api.pages import DEFAULT_PAGE_SIZE, PageSize, PageToken, cut
from api.routes.paths import StudyId, TrialNumber
from api.schemas import TrialList, TrialPage, TrialResponse, TrialValues, ValueResponse
from studies import service
from studies.records import Trial

router = APIRouter(tags=["trials"])


@router.get("/studies/{study_id}/trials")
def list_trials(
    study_id: StudyId,
    session: ReadSession,
    owner: OwnerGiven,
    page_size: PageSize = DEFAULT_PAGE_SIZE,
    page_token: PageToken = None,
) -> TrialPage:
    """List trials by number."""
    found = service.list_trials(session, owner, study_id, page_token, page_size + 1)
    page, token = cut(found, page_size, lambda trial: trial.number)
    return TrialPage(trials=[TrialResponse.model_validate(trial) for trial in page], next_page_token=token)


@router.get("/studies/{study_id}/trials/{number}", response_model=TrialResponse)
def get_trial(study_id: StudyId, number: TrialNumber, session: ReadSession, owner: OwnerGiven) -> Trial:
    """Show a trial."""
    return service.get_trial(session, owner, study_id, number)


@router.get("/studies/{study_id}/trials/{number}/values")
def list_values(study_id: StudyId, number: TrialNumber, session: ReadSession, owner: OwnerGiven) -> TrialValues:
    """List what the latest attempt at a trial reported while it ran, by step."""
    found = service.list_intermediate_values(session, owner, study_id, number)
    return TrialValues(values=[ValueResponse.model_validate(value) for value in found])


@router.get("/studies/{study_id}/best-trials")
def best_trials(study_id: StudyId, session: ReadSession, owner: OwnerGiven, page_size: PageSize = 10) -> TrialList:
    """List complete trials by the objective, best first."""
    found = service.best_trials(session, owner, study_id, page_size)
    return TrialList(trials=[TrialResponse.model_validate(trial) for trial in found])
