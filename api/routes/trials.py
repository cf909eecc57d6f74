"""The trials of a study."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies import OwnerGiven, ReadSession
from api.pages import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, PageSize, PageToken, cut
from api.routes.paths import StudyId, TrialNumber
from api.schemas import (
    BestTrials,
    ComparisonResponse,
    LeaderResponse,
    TrialPage,
    TrialResponse,
    TrialValues,
    ValueResponse,
)
from studies import service
from studies.records import Trial

router = APIRouter(tags=["trials"])

BestSize = Annotated[
    int | None,
    Query(ge=1, le=MAX_PAGE_SIZE, description="By default 10; of several objectives, as much of the front as 1000."),
]


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
def best_trials(study_id: StudyId, session: ReadSession, owner: OwnerGiven, page_size: BestSize = None) -> BestTrials:
    """List complete trials by the objective, best first; of several objectives, the Pareto front."""
    best = service.best_trials(session, owner, study_id, page_size)
    leaders, comparison = service.leaders(session, owner, study_id)
    return BestTrials(
        trials=[TrialResponse.model_validate(trial) for trial in best.trials],
        knee=best.front and best.front.knee,
        front=best.front and len(best.front.numbers),
        leaders=[LeaderResponse.model_validate(leader) for leader in leaders],
        comparison=comparison and ComparisonResponse.model_validate(comparison),
    )
