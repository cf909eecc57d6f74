"""The workers that run studies."""

from fastapi import APIRouter

from api.dependencies import ReadSession
from api.schemas import WorkerList, WorkerResponse
from studies import service

router = APIRouter(tags=["workers"])


@router.get("/workers")
def list_workers(session: ReadSession) -> WorkerList:
    """List the workers that live."""
    return WorkerList(workers=[WorkerResponse.model_validate(worker) for worker in service.list_workers(session)])
