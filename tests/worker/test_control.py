"""What users ask of a study reaches its driver, and what Ray is told to end leaves the study to the next job."""

import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from studies import service
from studies.database import Session
from studies.records import Study, StudyState, TrialState
from studies.repository import leases, studies
from studies.tables import StudyRow

if TYPE_CHECKING:
    from tests.worker.conftest import Home

pytestmark = pytest.mark.slow


def started(home: "Home", complete: int = 1) -> Study:
    study = home.create(parallel_trial_count=1)
    home.wait_for_complete(study, complete)
    return study


def wait_until_let_go(home: "Home", study: Study) -> None:
    """Wait until the driver has ended by itself, its lease given back."""
    drivers = home.drivers(study)
    psutil.wait_procs(drivers, timeout=120)
    assert not [driver for driver in drivers if driver.is_running()]


def is_held(home: "Home", study: Study) -> bool:
    with home.database.read_session() as session:
        return leases.is_held(session, StudyRow, study.id)


@pytest.mark.chaos
def test_a_paused_study_rests_until_it_is_resumed(shared_home: "Home") -> None:
    study = started(shared_home)
    job = shared_home.look(study).job_id
    shared_home.change(study, service.pause_study)
    wait_until_let_go(shared_home, study)
    assert shared_home.look(study).state is StudyState.PAUSED
    assert not is_held(shared_home, study)
    before = shared_home.complete(study)
    assert TrialState.RUNNING not in {trial.state for trial in shared_home.trials(study)}
    shared_home.change(study, service.resume_study)
    assert shared_home.wait_for_end(study).state is StudyState.COMPLETED
    assert shared_home.look(study).job_id != job
    after = shared_home.complete(study)
    assert len(after) == 8
    assert [trial for trial in after if trial in before] == before


@pytest.mark.chaos
def test_a_stopped_study_ends_with_the_trials_that_it_has(shared_home: "Home") -> None:
    study = started(shared_home)
    shared_home.change(study, service.stop_study)
    assert shared_home.wait_for_end(study).state is StudyState.COMPLETED
    assert 1 <= len(shared_home.complete(study)) < 8
    wait_until_let_go(shared_home, study)


@pytest.mark.chaos
def test_a_cancelled_study_can_be_deleted(shared_home: "Home") -> None:
    study = started(shared_home)
    shared_home.change(study, service.cancel_study)
    wait_until_let_go(shared_home, study)
    assert shared_home.look(study).state is StudyState.CANCELLED
    shared_home.change(study, service.delete_study)


@pytest.mark.chaos
def test_the_driver_of_a_study_that_is_gone_ends(shared_home: "Home") -> None:
    study = started(shared_home)

    def remove(session: Session, _: str, study_id: int) -> None:
        studies.remove(session, study_id)

    shared_home.change(study, remove)
    wait_until_let_go(shared_home, study)


@pytest.mark.chaos
def test_a_driver_takes_sigterm_as_an_interruption(shared_home: "Home") -> None:
    study = started(shared_home)
    before = shared_home.complete(study)
    [driver] = shared_home.drivers(study)
    driver.send_signal(signal.SIGTERM)
    wait_until_let_go(shared_home, study)
    assert shared_home.wait_for_end(study).state is StudyState.COMPLETED
    after = shared_home.complete(study)
    assert [trial for trial in after if trial.number in {past.number for past in before}] == before
