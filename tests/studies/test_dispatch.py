"""A study goes to one driver at a time: claimed, handed over, judged. On SQLite and PostgreSQL, without a Ray."""

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from search.events import Observer, TrialCompleted, TrialStarted
from search.problem import PastTrial, SearchProblem
from studies import service
from studies.database import Database
from studies.errors import Conflict, LeaseLost
from studies.process_identity import process
from studies.records import Study, StudyState, TrialState
from studies.repository import attempts, leases, studies, trials
from studies.runner import run_study
from studies.tables import StudyRow
from studies.workers import dispatch
from studies.workers.dispatch import MAX_FRUITLESS_RUNS, Run, claim_study, give_back

URL = "http://127.0.0.1:8265"
MANY = 100
MINUTE = timedelta(minutes=1)


@pytest.fixture
def study(database: Database, document: dict[str, Any], roots: list[Path]) -> Study:
    with database.session() as session:
        return service.create_study(session, "ada", document, roots)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next job of a study may begin as soon as the one before has ended."""
    monkeypatch.setattr(dispatch, "FIRST_PAUSE", timedelta(0))


def complete_all(
    problem: SearchProblem, history: Sequence[PastTrial], observer: Observer, *_: object, **__: object
) -> None:
    for number in range(len(history), problem.max_trial_count):
        observer(TrialStarted(number, {"depth": 1, "learning_rate": 1e-3}))
        observer(TrialCompleted(number, {"bits_per_byte": 3.0}, {}))


def look(database: Database, study: Study) -> Study:
    with database.read_session() as session:
        return service.get_study(session, "ada", study.id)


def claimed(database: Database, capacity: int = MANY) -> Run:
    run = claim_study(database, URL, capacity)
    assert run is not None
    return run


def end_of(database: Database, run: Run, finished: int = 0) -> None:
    """What the rows say after a driver that took ``run`` over, ended ``finished`` trials and was killed."""
    now = datetime.now(UTC)
    with database.session() as session:
        done = len(trials.page(session, run.lease.id, None, None))
        for number in range(done, done + finished):
            attempts.finish(session, run.lease.id, number, TrialState.COMPLETE, {"bits_per_byte": 3.0}, {}, None, now)
        leases.release(session, run.lease)


def dead_process() -> str:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        return process(child.pid)


def test_a_claimed_study_bears_its_job_and_is_not_claimed_again(database: Database, study: Study) -> None:
    run = claimed(database)
    assert run.job_id == f"study-{study.id}-run-{run.lease.token}"
    after = look(database, study)
    assert (after.job_id, after.dashboard_url, after.state) == (run.job_id, URL, StudyState.QUEUED)
    assert after.revision > study.revision
    assert claim_study(database, URL, MANY) is None


def test_of_many_workers_one_gets_the_study(database: Database, study: Study) -> None:
    with ThreadPoolExecutor(8) as workers:
        runs = list(workers.map(lambda _: claim_study(database, URL, MANY), range(16)))
    assert len([run for run in runs if run is not None]) == 1


def test_the_oldest_study_is_claimed_first_and_not_more_than_fit(
    database: Database, study: Study, document: dict[str, Any], roots: list[Path]
) -> None:
    with database.session() as session:
        second = service.create_study(session, "ada", document | {"name": "second"}, roots)
        service.create_study(session, "ada", document | {"name": "third"}, roots)
    assert [claimed(database, 2).lease.id, claimed(database, 2).lease.id] == [study.id, second.id]
    assert claim_study(database, URL, 2) is None


def test_a_driver_takes_the_lease_over_by_its_token(database: Database, study: Study, tmp_path: Path) -> None:
    run = claimed(database)
    ended = run_study(database, study.id, tmp_path, ray_address="auto", search=complete_all, token=run.lease.token)
    assert ended.state is StudyState.COMPLETED
    assert claim_study(database, URL, MANY) is None


def test_a_token_opens_a_study_once(database: Database, study: Study, tmp_path: Path) -> None:
    run = claimed(database)
    with database.session() as session:
        driver = leases.take_over(session, StudyRow, study.id, "host:1:1:here", MINUTE, run.lease.token)
    before = look(database, study)
    with pytest.raises(LeaseLost):
        run_study(database, study.id, tmp_path, search=complete_all, token=run.lease.token)
    assert look(database, study) == before
    with database.session() as session:
        leases.verify(session, driver)


def test_a_job_that_comes_late_touches_nothing(
    database: Database, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: None
) -> None:
    monkeypatch.setattr(dispatch, "HANDOVER_TTL", timedelta(0))
    late, next_one = claimed(database), claimed(database)
    assert late.job_id != next_one.job_id
    before = look(database, study)
    with pytest.raises(LeaseLost):
        run_study(database, study.id, tmp_path, search=complete_all, token=late.lease.token)
    assert look(database, study) == before
    run_study(database, study.id, tmp_path, ray_address="auto", search=complete_all, token=next_one.lease.token)
    assert look(database, study).state is StudyState.COMPLETED


@pytest.mark.parametrize("control", [service.pause_study, service.cancel_study])
def test_a_study_that_was_halted_meanwhile_is_let_go(
    database: Database, study: Study, tmp_path: Path, control: Any
) -> None:
    run = claimed(database)
    with database.session() as session:
        state = control(session, "ada", study.id).state
    with pytest.raises(Conflict):
        run_study(database, study.id, tmp_path, search=complete_all, token=run.lease.token)
    assert look(database, study).state is state
    with database.session() as session:
        service.delete_study(session, "ada", study.id)


def test_halted_studies_are_not_claimed_and_stopping_ones_are(database: Database, study: Study, tmp_path: Path) -> None:
    with database.session() as session:
        service.pause_study(session, "ada", study.id)
    assert claim_study(database, URL, MANY) is None
    with database.session() as session:
        service.stop_study(session, "ada", study.id)
    run = claimed(database)
    ended = run_study(database, study.id, tmp_path, search=complete_all, ray_address="auto", token=run.lease.token)
    assert ended.state is StudyState.COMPLETED


def test_the_next_job_waits_longer_after_each_fruitless_one(database: Database, study: Study) -> None:
    end_of(database, claimed(database))
    assert claim_study(database, URL, MANY) is None
    with database.session() as session:
        now = leases.database_now(session)
        row = session.get_one(StudyRow, study.id)
        assert row.not_before is not None
        assert timedelta(0) < row.not_before - now <= dispatch.FIRST_PAUSE
        row.not_before = now
    end_of(database, claimed(database))
    with database.session() as session:
        not_before = session.get_one(StudyRow, study.id).not_before
        assert not_before is not None
        assert dispatch.FIRST_PAUSE < not_before - leases.database_now(session) <= 2 * dispatch.FIRST_PAUSE


def test_a_study_whose_jobs_are_in_vain_fails(database: Database, study: Study, at_once: None) -> None:
    runs: list[Run] = []
    for _ in range(MAX_FRUITLESS_RUNS):
        runs.append(claimed(database))
        end_of(database, runs[-1])
    assert claim_study(database, URL, MANY) is None
    after = look(database, study)
    assert after.state is StudyState.FAILED
    assert after.finished_at is not None
    assert f"log of job {runs[-1].job_id} in the Ray dashboard at {URL}" in (after.error or "")


def test_a_finished_trial_forgives_the_jobs_before(database: Database, study: Study, at_once: None) -> None:
    for finished in (0, 0, 0, 0, 1, 0, 0, 0, 0):
        end_of(database, claimed(database), finished)
    assert claimed(database).lease.id == study.id


def test_a_pause_is_not_held_against_a_study(database: Database, study: Study, tmp_path: Path, at_once: None) -> None:
    def pause(*_: object, **__: object) -> None:
        with database.session() as session:
            service.pause_study(session, "ada", study.id)

    for _ in range(2 * MAX_FRUITLESS_RUNS):
        run = claimed(database)
        run_study(database, study.id, tmp_path, ray_address="auto", search=pause, token=run.lease.token)
        with database.session() as session:
            service.resume_study(session, "ada", study.id)
    assert look(database, study).state is StudyState.QUEUED


def test_a_job_that_could_not_be_submitted_does_not_count(database: Database, study: Study) -> None:
    for _ in range(2 * MAX_FRUITLESS_RUNS):
        give_back(database, claimed(database))
    assert look(database, study).state is StudyState.QUEUED


def test_giving_back_what_a_driver_has_taken_changes_nothing(database: Database, study: Study) -> None:
    run = claimed(database)
    with database.session() as session:
        driver = leases.take_over(session, StudyRow, study.id, "host:1:1:here", MINUTE, run.lease.token)
    give_back(database, run)
    with database.session() as session:
        leases.verify(session, driver)
        assert leases.is_held(session, StudyRow, study.id)


def test_the_study_of_a_driver_that_was_killed_is_claimed_at_once(
    database: Database, study: Study, at_once: None
) -> None:
    run = claimed(database)
    with database.session() as session:
        leases.take_over(session, StudyRow, study.id, dead_process(), MINUTE, run.lease.token)
        studies.set_state(session, study.id, StudyState.RUNNING)
    assert claimed(database).job_id != run.job_id
