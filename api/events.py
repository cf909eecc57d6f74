"""The events of a study as a stream: each look at the database is a short session of its own, in a thread.

Between looks a stream holds neither a session nor a thread. Looks have threads of their own, few enough that they leave
connections to the other requests, however many streams are open.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync
from pydantic import BaseModel
from sse_starlette import ServerSentEvent

from api.authentication import Identity
from api.schemas import FormulaRevision, StudyEnd, TrialResponse, ValueResponse, WatchedStudy
from studies import service
from studies.database import Database, Session
from studies.errors import NotFound
from studies.service.watching import Look

POLL_S = 0.5
"""Pause between two looks at a study (assumed: what a watcher does not notice)."""
MAX_STREAMS = 100
"""Streams open at once (assumed: some browser tabs for each of ten people)."""
MAX_LOOKS = 2
"""Looks at once (assumed; one takes about a millisecond)."""
DELETED = "DELETED"
"""State in the last event of a study that was deleted meanwhile."""

Item = TypeVar("Item")
Batch = list[ServerSentEvent]


class EventStreams:
    """All streams of the process."""

    def __init__(self, database: Database, limit: int = MAX_STREAMS) -> None:
        self._database = database
        self._limit = limit
        self._looks = anyio.CapacityLimiter(MAX_LOOKS)
        self.open = 0

    @property
    def full(self) -> bool:
        """Whether another stream would be too many."""
        return self.open >= self._limit

    async def stream(self, identity: Identity, study_id: int, since: int) -> AsyncIterator[bytes]:
        """What changes in a study after revision ``since``, as encoded events, until it or the right to see it ends."""
        self.open += 1
        try:
            batches = _follow(self._database, identity, study_id, since)
            while (batch := await run_sync(_next, batches, limiter=self._looks)) is not None:
                if batch:
                    yield batch
                else:
                    await anyio.sleep(POLL_S)
        finally:
            self.open -= 1


def _next(batches: Iterator[Batch]) -> bytes | None:
    """The next batch, encoded; empty when it is time for a pause, None at the end."""
    batch = next(batches, None)
    return None if batch is None else b"".join(event.encode() for event in batch)


def _follow(database: Database, identity: Identity, study_id: int, since: int) -> Iterator[Batch]:
    """What changes, round by round; an empty batch after each."""
    while True:
        try:
            with database.read_session() as session:
                if not _may_read(session, identity):
                    return
                looked = service.look(session, identity.owner, study_id, since)
        except NotFound:
            yield [_event("end", StudyEnd(state=DELETED))]
            return
        if looked is not None:
            yield from _round(database, looked)
            since = looked.study.revision
            if looked.settled:
                yield [_event("end", StudyEnd(state=looked.study.state))]
                return
        yield []


def _may_read(session: Session, identity: Identity) -> bool:
    return identity.key_id is None or service.is_valid_key(session, identity.key_id)


def _round(database: Database, looked: Look) -> Iterator[Batch]:
    """Everything that is new. Only the last event bears the revision: who saw less must ask for all of it again."""
    for trials in _pages(database, looked, service.changed_trials):
        yield [_event("trial", TrialResponse.model_validate(trial)) for trial in trials]
    for values in _pages(database, looked, service.new_values):
        yield [_event("value", ValueResponse.model_validate(value)) for value in values]
    last = []
    if looked.formula_revision:
        last.append(_event("formulas", FormulaRevision(revision=looked.formula_revision)))
    study = WatchedStudy.of(looked.study, looked.trial_counts)
    yield [*last, _event("study", study, id=str(looked.study.revision))]


def _pages(
    database: Database, looked: Look, read: Callable[[Session, Look, Item | None], Sequence[Item]]
) -> Iterator[Sequence[Item]]:
    last: Item | None = None
    while True:
        with database.read_session() as session:
            page = read(session, looked, last)
        if not page:
            return
        yield page
        last = page[-1]


def _event(kind: str, content: BaseModel, id: str | None = None) -> ServerSentEvent:
    return ServerSentEvent(content.model_dump_json(), event=kind, id=id)
