"""Queries on the answers to requests with an Idempotency-Key."""

from datetime import datetime

from sqlalchemy import Row, delete, select, tuple_, update
from sqlalchemy.orm import Session

from studies.repository.inserts import insert_if_missing
from studies.tables import AnswerRow


def begin(session: Session, owner: str, key: str, request_digest: str, now: datetime) -> bool:
    """Reserve an answer's place, after whoever is just about to; whether it was free."""
    row = {"owner": owner, "key": key, "request_digest": request_digest, "status": 0, "created_at": now}
    return insert_if_missing(session, AnswerRow, row)


def store(session: Session, owner: str, key: str, status: int, media_type: str | None, body: bytes | None) -> None:
    """Fill a place that this transaction reserved."""
    reserved = update(AnswerRow).where(AnswerRow.owner == owner, AnswerRow.key == key)
    session.execute(reserved.values(status=status, media_type=media_type, body=body))


def get(session: Session, owner: str, key: str) -> Row[str, int, str | None, bytes | None]:
    """Read an answer that is there."""
    columns = (AnswerRow.request_digest, AnswerRow.status, AnswerRow.media_type, AnswerRow.body)
    return session.execute(select(*columns).where(AnswerRow.owner == owner, AnswerRow.key == key)).one()


def remove_older(session: Session, limit: datetime) -> None:
    """Remove answers given before ``limit``, but for those that another transaction removes just now."""
    key = (AnswerRow.owner, AnswerRow.key)
    old = select(*key).where(AnswerRow.created_at < limit).with_for_update(skip_locked=True)
    session.execute(delete(AnswerRow).where(tuple_(*key).in_(old)))
