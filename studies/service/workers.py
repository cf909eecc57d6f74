"""The workers that run studies and execute operations."""

from sqlalchemy.orm import Session

from studies.records import Worker
from studies.repository import workers


def list_workers(session: Session) -> list[Worker]:
    """List the workers that live, the longest running first."""
    return workers.list_alive(session)
