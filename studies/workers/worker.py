"""The worker: gives studies that wait to Ray, executes operations, and says that it lives."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from model.errors import FormularyError, InvalidInput
from studies.database import Database
from studies.errors import RayUnavailable
from studies.process_identity import known_dead, this_process
from studies.repository import queue, workers
from studies.workers.campaigns import advance_campaigns
from studies.workers.dispatch import Run, claim_study, give_back
from studies.workers.operation_queue import execute_next

POLL_S = 0.2
"""Pause between two looks for work (assumed: a look is two indexed queries)."""
SIGN_OF_LIFE_S = 5.0
LONGEST_PAUSE_S = 15.0
"""Longest pause after errors; it starts at a second and doubles (assumed)."""
LAST_OPERATION_S = 5.0
"""How long the operation in work may go on once the worker is told to end (assumed); another takes it up then."""

LAST_TRIALS_S = 12.0
"""How long drivers may take to leave their studies queued (assumed; about 2 s measured)."""

log = logging.getLogger(__name__)


class Ray(Protocol):
    """A Ray that takes jobs."""

    @property
    def owned(self) -> bool:
        """Whether it ends with this worker."""

    def ready(self) -> str:
        """The address of its dashboard; raises RayUnavailable."""

    def close(self) -> None:
        """End it if it is owned."""


class Jobs(Protocol):
    """An open connection to its job server; see ``studies.jobs``."""

    dashboard_url: str

    def submit(self, run: Run, home: Path) -> None:
        """Submit a run; raises RayUnavailable."""

    def stop_all(self) -> None:
        """Ask every job to end; raises RayUnavailable."""


class GivenRay:
    """A Ray that somebody else runs."""

    owned = False

    def __init__(self, dashboard_url: str) -> None:
        self._dashboard_url = dashboard_url

    def ready(self) -> str:
        """The address that was given."""
        return self._dashboard_url

    def close(self) -> None:
        """Nothing: it is not ours."""


class Worker:
    """One process's share of the work of a database.

    Args:
        database: whose studies and operations.
        home: the home, as its drivers are given it.
        storage: root of shards, tokenizers and exports.
        ray: where drivers and trials run.
        connect: opens a connection to a Ray by its dashboard's address; ``studies.jobs.Jobs``.
        capacity: studies that are driven at once, by all workers of the database.
    """

    def __init__(
        self, database: Database, home: Path, storage: Path, ray: Ray, connect: Callable[[str], Jobs], capacity: int
    ) -> None:
        self._database = database
        self._home = home
        self._storage = storage
        self._ray = ray
        self._connect = connect
        self._capacity = capacity
        self._jobs: Jobs | None = None
        self._signed_at = -SIGN_OF_LIFE_S

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set; the Ray that was started for this worker ends with it.

        Raises:
            InvalidInput: the worker cannot work as it was set up.
        """
        operations = threading.Thread(target=self._keep_on, args=(self._execute, stop), name="operations", daemon=True)
        operations.start()
        try:
            self._keep_on(self._dispatch, stop)
        finally:
            stop.set()
            self._end()
            operations.join(LAST_OPERATION_S)

    def _keep_on(self, step: Callable[[], bool], stop: threading.Event) -> None:
        """Repeat ``step``, which tells whether there may be more to do at once; wait longer after each error."""
        pause = 1.0
        while not stop.is_set():
            try:
                more = step()
            except InvalidInput:
                raise
            except (SQLAlchemyError, FormularyError) as error:
                log.error("%s; next try in %g s", error, pause)
                stop.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
                continue
            pause = 1.0
            if not more:
                stop.wait(POLL_S)

    def _dispatch(self) -> bool:
        """Let campaigns go on, and submit the next study that waits; whether there was one."""
        advance_campaigns(self._database)
        jobs = self._connected()
        self._say_alive(jobs.dashboard_url)
        run = claim_study(self._database, jobs.dashboard_url, self._capacity)
        if run is None:
            return False
        try:
            jobs.submit(run, self._home)
        except RayUnavailable:
            self._jobs = None
            give_back(self._database, run)
            raise
        log.info("submitted %s", run.job_id)
        return True

    def _connected(self) -> Jobs:
        address = self._ray.ready()
        if self._jobs is None or self._jobs.dashboard_url != address:
            self._jobs = self._connect(address)
        return self._jobs

    def _say_alive(self, dashboard_url: str) -> None:
        if time.monotonic() - self._signed_at < SIGN_OF_LIFE_S:
            return
        with self._database.session() as session:
            workers.say_alive(session, this_process(), dashboard_url)
        self._signed_at = time.monotonic()

    def _execute(self) -> bool:
        return execute_next(self._database, self._storage)

    def _end(self) -> None:
        """Leave nothing behind: drivers of a Ray that ends too leave their studies queued, and no job is blamed."""
        try:
            if self._jobs is not None and self._ray.owned:
                self._end_jobs(self._jobs)
            with self._database.session() as session:
                workers.say_goodbye(session, this_process())
        except (SQLAlchemyError, FormularyError) as error:
            log.warning("not all was put in order: %s", error)
        finally:
            self._ray.close()

    def _end_jobs(self, jobs: Jobs) -> None:
        jobs.stop_all()
        deadline = time.monotonic() + LAST_TRIALS_S
        while self._drivers_at(jobs.dashboard_url) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        with self._database.session() as session:
            queue.forget_runs_of(session, jobs.dashboard_url)

    def _drivers_at(self, dashboard_url: str) -> list[str]:
        with self._database.read_session() as session:
            holders = queue.drivers_at(session, dashboard_url)
        return [holder for holder in holders if holder != this_process() and not known_dead(holder)]
