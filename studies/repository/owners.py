"""Queries on owners."""

from datetime import datetime

from sqlalchemy.orm import Session

from studies.repository.inserts import insert_missing
from studies.tables import OwnerRow


def ensure(session: Session, name: str, now: datetime) -> None:
    """Make sure that the owner exists."""
    insert_missing(session, OwnerRow, [{"name": name, "created_at": now}])
