"""The events of a study as a stream: each look at the database is a short session of its own, in a thread.

Between looks a stream holds neither a session nor a thread. Looks have threads of their own, few enough that they leave
connections to the other requests, however many streams are open.
"""

import logging
import math
import time
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
from studies.errors import DatabaseUnusable, NotFound
from studies.service.watching import Look

POLL_S = 0.5
"""Pause between two looks at a study (assumed: what a watcher does not notice)."""
CHECK_KEY_EVERY_S = 5.0
"""How long a stream may outlive its key (assumed)."""
MAX_STREAMS = 100
"""Streams open at once (assumed: some browser tabs for each of ten people)."""
MAX_LOOKS = 2
"""Looks at once (assumed; where nothing has changed, one takes 0.4 ms of a CPU (measured))."""
DELETED = "DELETED"
"""State in the last event of a study that was deleted meanwhile."""

Item = TypeVar("Item")
Batch = list[ServerSentEvent]

log = logging.getLogger(__name__)


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

    async def stream(self, identity: Identity, study_id: int, since: int, closing: anyio.Event) -> AsyncIterator[bytes]:
        """What changes in a study after revision ``since``, as encoded events.

        It ends with the study, with the right to see it, and when the server is ``closing``.
        """
        self.open += 1
        try:
            batches = _follow(self._database, identity, study_id, since)
            while not closing.is_set() and (batch := await run_sync(_next, batches, limiter=self._looks)) is not None:
                if batch:
                    yield batch
                else:
                    with anyio.move_on_after(POLL_S):
                        await closing.wait()
        finally:
            self.open -= 1


def _next(batches: Iterator[Batch]) -> bytes | None:
    """The next batch, encoded; empty when it is time for a pause, None at the end."""
    try:
        batch = next(batches, None)
    except DatabaseUnusable as error:  # the watcher comes back, and is then told
        log.warning("an event stream ends: %s", error)
        return None
    return None if batch is None else b"".join(event.encode() for event in batch)


def _follow(database: Database, identity: Identity, study_id: int, since: int) -> Iterator[Batch]:
    """What changes, round by round; an empty batch after each."""
    permission = _Permission(identity)
    while True:
        try:
            with database.read_session() as session:
                if not permission.holds(session):
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


class _Permission:
    """Whether who began a stream may still read it."""

    def __init__(self, identity: Identity) -> None:
        self._key_id = identity.key_id
        self._checked_at = -math.inf

    def holds(self, session: Session) -> bool:
        """Ask whether the key is still valid, unless that was done a moment ago."""
        now = time.monotonic()
        if self._key_id is None or now - self._checked_at < CHECK_KEY_EVERY_S:
            return True
        self._checked_at = now
        return service.is_valid_key(session, self._key_id)


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
