"""A run ends, stops, fails or goes on as its rows say; the search is a stand-in that tells planted events."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from model.errors import InvalidInput
from search.events import Observer, TrialCompleted, TrialEvent, TrialFailed, TrialStarted
from search.orders import Look
from search.problem import PastTrial, SearchProblem
from studies import orders, service
from studies.database import Database
from studies.errors import Conflict, LeaseHeld, LeaseLost, NotFound
from studies.heartbeat import LEASE_TTL
from studies.process_identity import this_process
from studies.records import Study, StudyState, TrialState
from studies.repository import leases, trials
from studies.runner import run_study
from studies.tables import StudyRow


class PlantedSearch:
    """Completes every trial that the history lacks, calling ``during`` while each one runs."""

    def __init__(self, during: Callable[[int], None] = lambda number: None) -> None:
        self.during = during
        self.history: Sequence[PastTrial] = ()

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
        self.history = history
        done = {trial.number for trial in history if trial.state not in ("WAITING", "RUNNING")}
        for number in sorted(set(range(problem.max_trial_count)) - done):
            if should_stop():
                return
            observer(TrialStarted(number, {"depth": 1 + number // 2, "learning_rate": 1e-3}))
            self.during(number)
            observer(self.end(number))

    def end(self, number: int) -> TrialEvent:
        return TrialCompleted(number, {"bits_per_byte": 3.0 - number / 10}, {})


class FailingSearch(PlantedSearch):
    def end(self, number: int) -> TrialEvent:
        return TrialFailed(number, f"trial {number} diverged")


@pytest.fixture
def study(database: Database, document: dict[str, Any], roots: list[Path]) -> Study:
    with database.session() as session:
        return service.create_study(session, "ada", document, roots)


def states(database: Database, study: Study) -> list[TrialState]:
    with database.read_session() as session:
        return [trial.state for trial in trials.page(session, study.id, None, None)]


def look(database: Database, study: Study) -> Study:
    with database.read_session() as session:
        return service.get_study(session, "ada", study.id)


def test_a_study_runs_to_its_end(database: Database, study: Study, tmp_path: Path) -> None:
    seen: list[TrialEvent] = []
    search = PlantedSearch()
    ended = run_study(database, study.id, tmp_path, observers=[lambda event: seen.append(event)], search=search)
    assert ended.state is StudyState.COMPLETED
    assert ended.started_at is not None
    assert ended.finished_at is not None
    assert states(database, study) == [TrialState.COMPLETE] * 6
    assert len(seen) == 12
    assert search.history == []
    with database.read_session() as session:
        assert {formula.revision for formula in service.list_formulas(session, "ada", study.id)} <= {1}
        assert not leases.is_held(session, StudyRow, study.id)


def test_a_study_is_stored_before_observers_see_it(database: Database, study: Study, tmp_path: Path) -> None:
    counts: list[int] = []
    run_study(
        database,
        study.id,
        tmp_path,
        observers=[lambda _: counts.append(len(states(database, study)))],
        search=PlantedSearch(),
    )
    assert counts == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]


def test_a_study_without_a_complete_trial_failed_and_says_why(database: Database, study: Study, tmp_path: Path) -> None:
    ended = run_study(database, study.id, tmp_path, search=FailingSearch())
    assert ended.state is StudyState.FAILED
    assert ended.error == "no trial completed; trial 0 is FAIL: trial 0 diverged"


def test_a_stopped_run_goes_on_from_its_rows(database: Database, study: Study, tmp_path: Path) -> None:
    count = iter(range(100))
    stopped = run_study(database, study.id, tmp_path, should_stop=lambda: next(count) == 2, search=PlantedSearch())
    assert stopped.state is StudyState.QUEUED
    with database.read_session() as session:
        before = service.list_trials(session, "ada", study.id)
    assert len(before) == 2
    search = PlantedSearch()
    assert run_study(database, study.id, tmp_path, search=search).state is StudyState.COMPLETED
    assert [(past.number, past.state, past.values) for past in search.history] == [
        (0, "COMPLETE", (3.0,)),
        (1, "COMPLETE", (2.9,)),
    ]
    with database.read_session() as session:
        assert service.list_trials(session, "ada", study.id)[:2] == before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("the cluster is gone")])
def test_an_interrupted_run_is_resumable_and_says_what_broke_it(
    database: Database, study: Study, tmp_path: Path, error: BaseException
) -> None:
    def fail_in_the_third(number: int) -> None:
        if number == 2:
            raise error

    with pytest.raises(type(error)):
        run_study(database, study.id, tmp_path, search=PlantedSearch(fail_in_the_third))
    left = look(database, study)
    assert left.state is StudyState.QUEUED
    assert left.error == (None if isinstance(error, KeyboardInterrupt) else "RuntimeError: the cluster is gone")
    assert states(database, study) == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.WAITING]
    search = PlantedSearch()
    ended = run_study(database, study.id, tmp_path, search=search)
    assert (ended.state, ended.error) == (StudyState.COMPLETED, None)
    assert (search.history[2].state, search.history[2].parameters["depth"]) == ("WAITING", 2)


@pytest.mark.parametrize(
    ("verb", "state", "count"),
    [("pause", StudyState.PAUSED, 2), ("cancel", StudyState.CANCELLED, 2), ("stop", StudyState.COMPLETED, 2)],
)
def test_a_run_obeys_what_is_asked_meanwhile(
    database: Database,
    study: Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    state: StudyState,
    count: int,
) -> None:
    monkeypatch.setattr(orders, "LOOK_EVERY_S", 0.0)

    def ask(number: int) -> None:
        if number == count - 1:
            with database.session() as session:
                getattr(service, f"{verb}_study")(session, "ada", study.id)

    ended = run_study(database, study.id, tmp_path, search=PlantedSearch(ask))
    assert ended.state is state
    assert states(database, study) == [TrialState.COMPLETE] * count


@pytest.mark.parametrize("state", ["PAUSED", "CANCELLED"])
def test_only_queued_studies_run(database: Database, study: Study, tmp_path: Path, state: str) -> None:
    with database.session() as session:
        (service.pause_study if state == "PAUSED" else service.cancel_study)(session, "ada", study.id)
    with pytest.raises(Conflict, match=f"is {state}"):
        run_study(database, study.id, tmp_path, search=PlantedSearch())


def test_a_study_that_is_not_there_does_not_run(database: Database, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        run_study(database, 999, tmp_path, search=PlantedSearch())


def test_one_driver_at_a_time(database: Database, study: Study, tmp_path: Path) -> None:
    def run_again(number: int) -> None:
        with pytest.raises(LeaseHeld, match=f"study {study.id}"):
            run_study(database, study.id, tmp_path, search=PlantedSearch())

    assert run_study(database, study.id, tmp_path, search=PlantedSearch(run_again)).state is StudyState.COMPLETED


def test_a_driver_that_was_overtaken_stops_without_writing(database: Database, study: Study, tmp_path: Path) -> None:
    def overtake(number: int) -> None:
        with database.session() as session:
            leases.claim(session, StudyRow, study.id, "other:1:0:m", LEASE_TTL, dead_holder=this_process())

    with pytest.raises(LeaseLost):
        run_study(database, study.id, tmp_path, search=PlantedSearch(overtake))
    assert look(database, study).state is StudyState.RUNNING
    assert states(database, study) == [TrialState.RUNNING]


def test_a_trial_larger_than_the_machine_is_refused_before_anything_starts(
    database: Database, document: dict[str, Any], roots: list[Path], tmp_path: Path
) -> None:
    document["resources_per_trial"] = {"cpu": 1000}
    with database.session() as session:
        study = service.create_study(session, "ada", document, roots)
    with pytest.raises(InvalidInput) as refusal:
        run_study(database, study.id, tmp_path, search=PlantedSearch())
    assert refusal.value.field == "resources_per_trial.cpu"
    assert look(database, study) == study


def test_the_lease_is_renewed_while_the_search_runs(
    database: Database, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = []

    def wait(number: int) -> None:
        time.sleep(0.1)
        with pytest.raises(LeaseHeld) as held, database.session() as session:
            leases.claim(session, StudyRow, study.id, "other:1:0:m", LEASE_TTL)
        ends.append(held.value.expires_at)

    monkeypatch.setattr("studies.heartbeat.RENEWALS_PER_TTL", 400)
    before = threading.active_count()
    run_study(database, study.id, tmp_path, search=PlantedSearch(wait))
    assert ends == sorted(set(ends))
    assert threading.active_count() == before
