"""Whether the process answers."""

from fastapi import APIRouter

from api.schemas import Health

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> Health:
    """Answer as long as the process lives."""
    return Health()
