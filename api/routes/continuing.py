"""Studies that go on: points that users give, and more trials."""

from fastapi import APIRouter, status

from api.dependencies import OwnerGiven, WriteSession
from api.idempotency import IdempotentRoute
from api.routes.paths import StudyId
from api.routes.studies import with_warnings
from api.schemas import CreatedStudy, EnqueuedPointResponse, EnqueuedPoints
from studies import service
from studies.service.continuing import EnqueueRequest, ExtendRequest

router = APIRouter(tags=["studies"], route_class=IdempotentRoute)


@router.post("/studies/{study_id}/trials:enqueue", status_code=status.HTTP_201_CREATED)
def enqueue_points(
    study_id: StudyId, request: EnqueueRequest, session: WriteSession, owner: OwnerGiven
) -> EnqueuedPoints:
    """Let a study try points before those of its sampler, each at every inner point."""
    added = service.enqueue_points(session, owner, study_id, request)
    return EnqueuedPoints(points=[EnqueuedPointResponse.model_validate(point) for point in added])


@router.post("/studies/{study_id}:extend")
def extend_study(study_id: StudyId, request: ExtendRequest, session: WriteSession, owner: OwnerGiven) -> CreatedStudy:
    """Give a study more trials; one that has ended is queued again."""
    return with_warnings(session, service.extend_study(session, owner, study_id, request))
