"""Runs a study: takes its lease, searches from where its rows are, fits its formulas."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy.orm import Session

from search.events import Observer, TrialEvent
from search.orders import Look, Orders
from search.problem import PastTrial, SearchProblem
from studies.database import Database
from studies.errors import Conflict, LeaseHeld, LeaseLost, NotFound
from studies.heartbeat import LEASE_TTL, Heartbeat
from studies.history import read_history
from studies.machine import check_machine
from studies.orders import OrdersLook, StopSignal, read_orders
from studies.problem import stored_problem
from studies.process_identity import has_ended, this_process
from studies.recorder import Recorder
from studies.records import Study, StudyState, TrialState
from studies.repository import attempts, formulas, leases, queue, studies, trials
from studies.repository.leases import Lease
from studies.repository.queue import RUNNABLE_STATES
from studies.service.ending import end_study
from studies.service.formulas import fit
from studies.spec import StudySpec
from studies.tables import StudyRow

log = logging.getLogger(__name__)


class Search(Protocol):
    """What runs the trials; see by default ``search.ahead.run_search``."""

    def __call__(
        self,
        problem: SearchProblem,
        history: Sequence[PastTrial],
        observer: Observer,
        should_stop: Callable[[], bool],
        *,
        ray_address: str | None,
        look: Look,
    ) -> None:
        """Run every trial that ``history`` lacks, and what ``look`` reads meanwhile, until done or told to stop."""


def run_study(
    database: Database,
    study_id: int,
    storage: Path,
    observers: Sequence[Observer] = (),
    ray_address: str | None = None,
    should_stop: Callable[[], bool] | None = None,
    search: Search | None = None,
    token: int | None = None,
) -> Study:
    """Run a study from where its rows are, until it is finished or told to stop.

    Args:
        database: where the study is.
        study_id: a queued study, or one whose driver ended.
        storage: root of shards, tokenizers and exports.
        observers: told of every event, after it is stored.
        ray_address: a running cluster; when left out, a Ray of this machine.
        should_stop: asked often; once it is true the study is left resumable.
        search: what runs the trials; by default ``search.ahead.run_search``.
        token: of the lease that a worker claimed for this run, and hands over.

    Returns:
        The study: COMPLETED; FAILED when no trial completed; QUEUED when stopped; or the state that a user gave it.

    Raises:
        NotFound: there is no such study.
        Conflict: its state does not allow it, or another process runs it.
        InvalidInput: a trial needs more CPUs or GPUs than this machine has.
        LeaseLost: another process took the study over, or was given it; this one has stopped.
        Exception: what the search raised, KeyboardInterrupt too; the study is resumable.
    """
    lease = _claim(database, study_id, ray_address) if token is None else _take_over(database, study_id, token)
    with Heartbeat(database, lease) as heartbeat:
        signal = StopSignal(database, heartbeat, study_id, should_stop or _never)
        recorder = Recorder(database, lease)
        try:
            while True:
                orders = OrdersLook(database, study_id)
                _run(search, database, study_id, storage, _all(recorder, *observers), signal, orders, ray_address)
                recorder.flush()
                ended = _finish(database, lease, signal.given, orders.latest)
                if ended is not None:
                    return ended
        except LeaseLost:
            raise
        except BaseException as error:
            _leave(database, lease, error)
            raise


def _run(
    search: Search | None,
    database: Database,
    study_id: int,
    storage: Path,
    observer: Observer,
    should_stop: Callable[[], bool],
    orders: OrdersLook,
    ray_address: str | None,
) -> None:
    """Search from where the rows are to the end of what is asked."""
    with database.read_session() as session:
        problem = stored_problem(session, _existing(session, study_id), storage.absolute())
    history = read_history(database, study_id, problem.metrics)
    run = search or _search_with_ray()
    run(problem, history, observer, should_stop, ray_address=ray_address, look=orders)


def _search_with_ray() -> Search:
    from search.ahead import run_search  # loads Ray: by now the lease is kept alive

    return run_search


def _never() -> bool:
    return False


def _all(*observers: Observer) -> Observer:
    def observe(event: TrialEvent) -> None:
        for observer in observers:
            observer(event)

    return observe


def _runnable(session: Session, study_id: int) -> Study:
    study = _existing(session, study_id)
    if study.spec.get("execution") == "external":
        raise Conflict(f"the trials of study {study_id} are trained elsewhere; ask for them (trials:suggest)")
    if study.state not in RUNNABLE_STATES:
        raise Conflict(f"study {study_id} is {study.state}; only a queued study can be run")
    return study


def _existing(session: Session, study_id: int) -> Study:
    study = studies.get(session, study_id)
    if study is None:
        raise NotFound(f"there is no study {study_id}")
    return study


def _claim(database: Database, study_id: int, ray_address: str | None) -> Lease:
    """Take the study's lease; that of a process which ended on this machine is taken over at once."""
    with database.read_session() as session:
        spec = StudySpec.model_validate(_runnable(session, study_id).spec)
    if ray_address is None:
        check_machine(spec.resources_per_trial)
    try:
        return _begin(database, study_id, None)
    except LeaseHeld as held:
        if not has_ended(held.holder):
            raise
        log.warning("study %d: the process that ran it has ended; going on from its rows", study_id)
        return _begin(database, study_id, held.holder)


def _begin(database: Database, study_id: int, dead_holder: str | None) -> Lease:
    with database.session() as session:
        lease = leases.claim(session, StudyRow, study_id, this_process(), LEASE_TTL, dead_holder)
        _note_start(session, _runnable(session, study_id))
        return lease


def _take_over(database: Database, study_id: int, token: int) -> Lease:
    """Take the lease that a worker handed over; it is given back where the study's state has changed meanwhile."""
    with database.session() as session:
        lease = leases.take_over(session, StudyRow, study_id, this_process(), LEASE_TTL, token)
        study = _existing(session, study_id)
        if study.state in RUNNABLE_STATES:
            _note_start(session, study)
            return lease
        leases.release(session, lease)
    raise Conflict(f"study {study_id} is {study.state} now")


def _note_start(session: Session, study: Study) -> None:
    now = datetime.now(UTC)
    state = StudyState.RUNNING if study.state is StudyState.QUEUED else study.state
    studies.set_state(session, study.id, state, started_at=study.started_at or now, error=None)
    attempts.lose_all(session, study.id, "the process that drove the study ended", now)


def _finish(database: Database, lease: Lease, stopped: bool, known: Orders) -> Study | None:
    """End a search that returned: by the study's state, and by whether it was told to stop.

    None when more was asked of it than the ``known`` orders that it has followed: then it goes on.
    """
    with database.read_session() as session:
        if _goes_on(session, lease.id, stopped, known):
            return None
        state = studies.state_of(session, lease.id)
        finished = state is StudyState.STOPPING or (state is StudyState.RUNNING and not stopped)
        any_complete = TrialState.COMPLETE in trials.count_by_state(session, lease.id)
        fitted = fit(session, lease.id) if finished and any_complete else []
    now = datetime.now(UTC)
    with database.session() as session:
        leases.verify(session, lease)
        if _goes_on(session, lease.id, stopped, known):
            return None
        state = _let_go(session, lease, "the study was stopped", now)
        if finished and state in RUNNABLE_STATES:
            formulas.add(session, lease.id, fitted, now)
            end_study(session, lease.id, now)
        elif state is StudyState.RUNNING:
            studies.set_state(session, lease.id, StudyState.QUEUED)
        return _existing(session, lease.id)


def _goes_on(session: Session, study_id: int, stopped: bool, known: Orders) -> bool:
    if stopped or studies.state_of(session, study_id) is not StudyState.RUNNING:
        return False
    return read_orders(session, study_id) != known


def _leave(database: Database, lease: Lease, error: BaseException) -> None:
    """End a search that raised, so that it can go on later; an error other than an interruption is noted."""
    note = f"{type(error).__name__}: {error}" if isinstance(error, Exception) else None
    with database.session() as session:
        state = _let_go(session, lease, note or "the study was interrupted", datetime.now(UTC))
        if state is StudyState.RUNNING:
            studies.set_state(session, lease.id, StudyState.QUEUED, error=note)


def _let_go(session: Session, lease: Lease, reason: str, now: datetime) -> StudyState | None:
    """Release the lease and let trials that were cut off wait; the study's state."""
    leases.release(session, lease)
    attempts.lose_all(session, lease.id, reason, now)
    state = studies.state_of(session, lease.id)
    if state is not StudyState.RUNNING:
        queue.forget_run(session, lease.id, not_before=None)  # a user ended it
    return state
