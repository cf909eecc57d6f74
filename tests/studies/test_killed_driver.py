"""A driver that is killed loses nothing that was finished, and the next one runs what is left."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from studies import service
from studies.database import Database
from studies.records import Study, StudyState, Trial, TrialState
from studies.repository import trials

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("run_planted_study.py")
COUNT = 12
FINISHED_BEFORE_THE_KILL = 3
DEADLINE_S = 60.0
CHAOTIC_DRIVERS = 5


@contextmanager
def driver_of(database: Database, study: Study, storage: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that runs the study; it does not outlive the block."""
    url = database.url.render_as_string(hide_password=False)
    command = [sys.executable, str(SCRIPT), url, str(study.id), str(storage)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(storage)}
    with subprocess.Popen(command, cwd=storage, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def stored(database: Database, study: Study) -> list[Trial]:
    with database.read_session() as session:
        return trials.page(session, study.id, None, None)


def complete(database: Database, study: Study) -> list[Trial]:
    return [trial for trial in stored(database, study) if trial.state is TrialState.COMPLETE]


@pytest.mark.chaos
@pytest.mark.parametrize("stack", [1, 2])
def test_random_kills_of_drivers_and_workers(
    database: Database, document: dict[str, Any], roots: list[Path], tmp_path: Path, stack: int
) -> None:
    """Whatever is killed and whenever: every number ends once, and what has ended never changes."""
    seed = int(os.environ.get("CHAOS_SEED", time.time()))
    print(f"CHAOS_SEED={seed}")
    moments = random.Random(seed)
    document |= {"space": {"depth": {"type": "int", "low": 1, "high": 30}}, "max_trial_count": 60}
    document |= {"parallel_trial_count": 2, "resources_per_trial": {"stack": stack}}
    with database.session() as session:
        study = service.create_study(session, "ada", document, roots)
    ended: dict[int, Trial] = {}
    for _ in range(CHAOTIC_DRIVERS):
        with driver_of(database, study, tmp_path) as driver:
            time.sleep(moments.uniform(3, 9))
            kill_a_worker(driver, moments)
            time.sleep(moments.uniform(0, 2))
        for trial in complete(database, study):
            assert ended.setdefault(trial.number, trial) == trial
    with driver_of(database, study, tmp_path) as driver:
        driver.communicate(timeout=DEADLINE_S)
    after = stored(database, study)
    assert [(trial.number, trial.state) for trial in after] == [(n, TrialState.COMPLETE) for n in range(60)]
    assert [trial for trial in after if trial.number in ended] == [ended[number] for number in sorted(ended)]


def kill_a_worker(driver: subprocess.Popen[str], moments: random.Random) -> None:
    """Kill one of the driver's trial slots, if there is one."""
    family = psutil.Process(driver.pid).children(recursive=True)
    workers = [process for process in family if "ray::ProxyTrial" in " ".join(_command(process))]
    if workers:
        moments.choice(workers).kill()


def _command(process: psutil.Process) -> list[str]:
    """Its command line, empty once it has ended."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


@pytest.mark.chaos
def test_a_killed_driver_is_continued_from_its_rows(
    database: Database, document: dict[str, Any], roots: list[Path], tmp_path: Path
) -> None:
    document |= {
        "space": {"depth": {"type": "int", "low": 1, "high": 6}},
        "max_trial_count": COUNT,
        "parallel_trial_count": 2,
    }
    with database.session() as session:
        study = service.create_study(session, "ada", document, roots)
    with driver_of(database, study, tmp_path) as driver:
        deadline = time.monotonic() + DEADLINE_S
        while len(complete(database, study)) < FINISHED_BEFORE_THE_KILL:
            assert driver.poll() is None, "the driver ended by itself"
            assert time.monotonic() < deadline, "no trial completed"
            time.sleep(0.02)
        driver.kill()
    before = complete(database, study)
    cut_off = [trial.number for trial in stored(database, study) if trial.state is TrialState.RUNNING]
    assert len(before) < COUNT
    assert len(list(tmp_path.glob(f"tune-study-{study.id}-*"))) == 1

    with driver_of(database, study, tmp_path) as driver:
        output, _ = driver.communicate(timeout=DEADLINE_S)
    assert (driver.returncode, output) == (0, "COMPLETED\n")
    assert list(tmp_path.glob("tune-*")) == []

    after = stored(database, study)
    assert [(trial.number, trial.state) for trial in after] == [(n, TrialState.COMPLETE) for n in range(COUNT)]
    assert [trial for trial in after if trial.number in {past.number for past in before}] == before
    assert [trial.number for trial in after if trial.attempts == 2] == cut_off
    assert len({tuple(trial.parameters.items()) for trial in after}) == COUNT
    with database.read_session() as session:
        assert service.get_study(session, "ada", study.id).state is StudyState.COMPLETED
        for trial in after:
            values = service.list_intermediate_values(session, "ada", study.id, trial.number)
            assert [value.step for value in values] == [1, 2, 3, 4]
            assert trial.metrics["bits_per_byte"] == pytest.approx(values[-1].value)
