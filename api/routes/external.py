"""Ask and tell: trials for those who train elsewhere, and what came of them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from api.dependencies import OwnerGiven, WriteSession
from api.idempotency import IdempotentRoute
from api.routes.paths import StudyId, TrialNumber
from api.schemas import AdviceResponse, SuggestedTrials, TrialResponse
from studies.plans import Plans
from studies.records import Trial
from studies.service import external
from studies.service.external import CompleteRequest, ReportRequest, SuggestRequest

router = APIRouter(tags=["ask and tell"], route_class=IdempotentRoute)


async def get_plans(request: Request) -> Plans:
    """The plans that this process keeps."""
    plans: Plans = request.app.state.plans
    return plans


PlansGiven = Annotated[Plans, Depends(get_plans)]


@router.post("/studies/{study_id}/trials:suggest")
def suggest_trials(
    study_id: StudyId, request: SuggestRequest, session: WriteSession, owner: OwnerGiven, plans: PlansGiven
) -> SuggestedTrials:
    """Give a client trials to train: those that it has not ended, then others."""
    found = external.suggest(session, plans, owner, study_id, request)
    return SuggestedTrials(
        trials=[TrialResponse.model_validate(trial) for trial in found.trials], study_state=found.state
    )


@router.post("/studies/{study_id}/trials/{number}:report", response_model=AdviceResponse)
def report_values(
    study_id: StudyId,
    number: TrialNumber,
    request: ReportRequest,
    session: WriteSession,
    owner: OwnerGiven,
    plans: PlansGiven,
) -> external.Advice:
    """Store what a trial is worth at a step; the answer says whether to stop."""
    return external.report(session, plans, owner, study_id, number, request)


@router.post("/studies/{study_id}/trials/{number}:complete", response_model=TrialResponse)
def complete_trial(
    study_id: StudyId,
    number: TrialNumber,
    request: CompleteRequest,
    session: WriteSession,
    owner: OwnerGiven,
    plans: PlansGiven,
) -> Trial:
    """End a trial with its metrics, or with the reason why it has none."""
    return external.complete(session, plans, owner, study_id, number, request)
