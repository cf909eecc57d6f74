"""The workers that run studies and execute operations."""

from sqlalchemy.orm import Session

from studies.process_identity import runs_here
from studies.records import Worker
from studies.repository import workers


def list_workers(session: Session) -> list[Worker]:
    """List the workers that live, the longest running first."""
    return workers.list_alive(session)


def a_worker_lives_here(session: Session) -> bool:
    """Whether a worker of this machine (of this container) gives signs of life."""
    return any(runs_here(worker.id) for worker in workers.list_alive(session))
