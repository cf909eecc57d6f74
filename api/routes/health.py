"""Whether the process answers, whether it can work, and what it counts."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.authentication import get_identity
from api.dependencies import get_database
from api.schemas import Health, Problem
from studies.database import Database

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> Health:
    """Answer as long as the process lives."""
    return Health()


@router.get("/readyz", responses={503: {"model": Problem, "description": "The database cannot be used"}})
def readyz(database: Annotated[Database, Depends(get_database)]) -> Health:
    """Answer while the database can be reached and has the newest schema."""
    database.check_schema()
    return Health()


@router.get("/metrics", response_class=PlainTextResponse, dependencies=[Depends(get_identity)])
def metrics(request: Request) -> PlainTextResponse:
    """Count requests, studies by state and workers, in the text format of Prometheus."""
    return PlainTextResponse(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)
