"""What its driver reads of a study while it runs: whether to go on, and what is asked of it."""

import time
from collections.abc import Callable

from sqlalchemy.orm import Session

from search.orders import Orders
from studies.database import Database
from studies.errors import NotFound
from studies.heartbeat import Heartbeat
from studies.records import StudyState
from studies.repository import points, studies

LOOK_EVERY_S = 1.0
"""Longest time between two looks at a study's rows, in seconds."""


def read_orders(session: Session, study_id: int) -> Orders:
    """Read how many trials a study is to have, and the points that were enqueued.

    Raises:
        NotFound: the study is gone.
    """
    study = studies.get(session, study_id)
    if study is None:
        raise NotFound(f"there is no study {study_id}")
    return Orders(int(study.spec["max_trial_count"]), points.page(session, study_id))


class StopSignal:
    """Whether the search should end: the caller asks for it, the study's state changed, or the lease is lost."""

    def __init__(
        self, database: Database, heartbeat: Heartbeat, study_id: int, should_stop: Callable[[], bool]
    ) -> None:
        self._database = database
        self._heartbeat = heartbeat
        self._study_id = study_id
        self._should_stop = should_stop
        self._next_look = 0.0
        self.given = False

    def __call__(self) -> bool:
        """Ask; once it is true it stays so."""
        self.given = self.given or self._heartbeat.lost or self._should_stop() or self._state_changed()
        return self.given

    def _state_changed(self) -> bool:
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + LOOK_EVERY_S
        with self._database.read_session() as session:
            return studies.state_of(session, self._study_id) is not StudyState.RUNNING


class OrdersLook:
    """The newest orders of a study, read again when the last ones are a second old.

    A study that is gone has the orders that it had: its driver is told so elsewhere.
    """

    def __init__(self, database: Database, study_id: int) -> None:
        self._database = database
        self._study_id = study_id
        self._next_look = time.monotonic() + LOOK_EVERY_S
        self.latest = self._read()
        """What the search was told last."""

    def __call__(self) -> Orders:
        """Look; most times this is what was read before."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_EVERY_S
            try:
                self.latest = self._read()
            except NotFound:
                return self.latest
        return self.latest

    def _read(self) -> Orders:
        with self._database.read_session() as session:
            return read_orders(session, self._study_id)
