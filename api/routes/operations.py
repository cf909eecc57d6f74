"""Longer work that a worker executes."""

from fastapi import APIRouter

from api.dependencies import OwnerGiven, ReadSession
from api.routes.paths import OperationId
from api.schemas import OperationResponse
from studies import service
from studies.records import Operation

router = APIRouter(tags=["operations"])


@router.get("/operations/{operation_id}", response_model=OperationResponse)
def get_operation(operation_id: OperationId, session: ReadSession, owner: OwnerGiven) -> Operation:
    """Show an operation."""
    return service.get_operation(session, owner, operation_id)
