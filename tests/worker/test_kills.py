"""Whatever is killed, a study that a worker took on goes on; no finished trial is lost, repeated or changed."""

import os
import signal
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from studies import service
from studies.records import OperationState, Study, StudyState, Trial, TrialState
from studies.repository import trials

if TYPE_CHECKING:
    from tests.worker.conftest import Home

pytestmark = pytest.mark.slow
COUNT = 8


def check_end(home: "Home", study: Study, before: list[Trial]) -> None:
    """Every number has ended once, what was complete before the kill is as it was, and no attempt is left open."""
    ended = home.wait_for_end(study)
    assert (ended.state, ended.error) == (StudyState.COMPLETED, None)
    after = home.trials(study)
    assert [(trial.number, trial.state) for trial in after] == [(n, TrialState.COMPLETE) for n in range(COUNT)]
    assert [trial for trial in after if trial.number in {past.number for past in before}] == before
    assert all(trial.attempts == 1 for trial in before)
    assert len({trial.parameters["depth"] for trial in after}) == COUNT


@pytest.mark.chaos
def test_a_killed_driver_is_followed_by_a_new_job(shared_home: "Home") -> None:
    home, workers = shared_home, list(shared_home.workers)
    study = home.create(COUNT)
    before = home.wait_for_complete(study, 2)
    job = home.look(study).job_id
    [driver] = home.drivers(study)
    driver.kill()
    check_end(home, study, before)
    assert home.look(study).job_id != job
    assert home.workers == workers
    assert home.workers[-1].poll() is None


@pytest.mark.chaos
def test_a_killed_worker_leaves_the_driver_to_the_next_one(shared_home: "Home") -> None:
    home, worker = shared_home, shared_home.workers[-1]
    study = home.create(COUNT)
    before = home.wait_for_complete(study, 2)
    job, node = home.look(study).job_id, home.node()
    worker.kill()
    worker.wait()
    before += [trial for trial in home.wait_for_complete(study, len(before) + 2) if trial not in before]
    second = home.start_worker()
    check_end(home, study, sorted(before, key=lambda trial: trial.number))
    assert home.look(study).job_id == job
    again = home.create(2, parallel_trial_count=1)
    assert home.wait_for_end(again).state is StudyState.COMPLETED
    assert {**home.node(), "owner": node["owner"]} == node
    assert home.node()["owner"].split(":")[1] == str(second.pid)


@pytest.mark.chaos
def test_a_killed_ray_is_started_anew(shared_home: "Home") -> None:
    home = shared_home
    study = home.create(COUNT)
    before = home.wait_for_complete(study, 2)
    job, node = home.look(study).job_id, home.node()
    assert Path(node["folder"]).exists()
    for process in home.ray_processes():
        with suppress(ProcessLookupError):  # it ended with those before it
            os.kill(process.pid, signal.SIGKILL)
    check_end(home, study, before)
    assert home.look(study).job_id != job
    assert home.node()["process"] != node["process"]
    assert not Path(node["folder"]).exists()


@pytest.mark.chaos
def test_two_workers_run_a_study_with_one_job(home: "Home") -> None:
    home.start_worker()
    home.start_worker()
    first, second = home.create(COUNT), home.create(2, parallel_trial_count=1)
    check_end(home, first, [])
    assert home.wait_for_end(second).state is StudyState.COMPLETED
    for study in (first, second):
        assert home.look(study).job_id == f"study-{study.id}-run-1"
        assert all(trial.attempts == 1 for trial in home.trials(study))
    logs = (home.folder / "worker.log").read_text()
    assert logs.count("submitted") == 2
    assert logs.count("started a Ray") == 1


@pytest.mark.chaos
def test_a_worker_that_ends_leaves_its_study_queued_and_no_process(shared_home: "Home") -> None:
    home, worker = shared_home, shared_home.workers[-1]
    study = home.create(COUNT)
    before = home.wait_for_complete(study, 2)
    processes = home.ray_processes()
    worker.terminate()
    assert worker.wait(120) == 0
    assert home.look(study).state is StudyState.QUEUED
    assert not [process for process in processes if process.is_running() and process.status() != "zombie"]
    assert home.drivers(study) == []
    assert not Path(home.node()["folder"]).exists()
    home.start_worker()
    check_end(home, study, before)


@pytest.mark.chaos
def test_an_operation_whose_worker_is_killed_is_executed_again(shared_home: "Home") -> None:
    home, worker = shared_home, shared_home.workers[-1]
    study = home.create()
    now = datetime.now(UTC)
    attributes = {"ffn_width": 64, "kv_heads": 2, "heads": 2}
    trial = Trial(0, TrialState.COMPLETE, {"depth": 2}, {"bits_per_byte": 2.0}, attributes, None, 1, now, now)
    with home.database.session() as session:
        service.cancel_study(session, "ada", study.id)
        trials.add_many(session, study.id, [trial])
        operation, export = service.request_export(
            session, "ada", study.id, service.ExportRequest(format="hf"), service.Places(Path(), ())
        )

    def state() -> OperationState:
        with home.database.read_session() as session:
            return service.get_operation(session, "ada", operation.id).state

    home.wait_until(lambda: state() is not OperationState.PENDING, "the operation's start")
    worker.kill()
    worker.wait()
    assert state() is OperationState.RUNNING
    home.start_worker()
    home.wait_until(lambda: state() is OperationState.SUCCEEDED, "the operation's end")
    with home.database.read_session() as session:
        written = service.get_export(session, "ada", study.id, export.id)
    assert written.folder is not None
    assert (home.folder / "storage" / written.folder / "model.safetensors").is_file()
