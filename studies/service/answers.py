"""Answers to requests with an Idempotency-Key: each is stored in the transaction of the effect that it tells of.

The place of an answer is reserved first. Who sends the same request meanwhile waits until that transaction has ended,
and then finds the answer; when it was rolled back, the place is free again.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from model.errors import InvalidInput
from studies.repository import answers, owners

KEPT = timedelta(hours=24)
"""How long an answer is given again (assumed: longer than any client tries)."""
MAX_BODY_BYTES = 2**20
"""Longest body that is kept (assumed: many times the longest spec that is written by hand)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered; ``body`` is None when it was not kept."""

    status: int
    media_type: str | None
    body: bytes | None


def begin_answer(session: Session, owner: str, key: str, request_digest: str) -> Answer | None:
    """Find the answer that a request was given before; None when this transaction is to give it.

    Raises:
        InvalidInput: the key belongs to another request.
    """
    now = datetime.now(UTC)
    answers.remove_older(session, now - KEPT)
    owners.ensure(session, owner, now)
    if answers.begin(session, owner, key, request_digest, now):
        return None
    row = answers.get(session, owner, key)
    if row.request_digest != request_digest:
        raise InvalidInput("Idempotency-Key", "it was sent with another request", "send a new one with each request")
    return Answer(row.status, row.media_type, row.body)


def store_answer(session: Session, owner: str, key: str, answer: Answer) -> None:
    """Store the answer that ``begin_answer`` left to this transaction; a body that is too long is not kept."""
    body = answer.body if answer.body is not None and len(answer.body) <= MAX_BODY_BYTES else None
    answers.store(session, owner, key, answer.status, answer.media_type, body)
