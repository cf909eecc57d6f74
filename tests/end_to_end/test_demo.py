"""``formulary demo`` on a small study: to its end without a terminal, and interrupted, leaving no process behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from studies.database import Database
from studies.records import StudyState
from studies.repository import studies

pytestmark = pytest.mark.slow

Until = Callable[[Callable[[], object]], None]
PRESET = Path(__file__).parents[2] / "studies" / "presets" / "demo.yaml"
SMALLER = {"train_bytes": 20_000, "validation_bytes": 10_000, "vocabulary_size": 300, "evaluations": 1}
RUN = "import pathlib; from api import cli; from api.commands import demo; demo.SPEC = pathlib.Path({!r}); cli.main()"
TRIALS = 2 * 3 * 3
SECONDS = 300


class Demo:
    """The demo on one home, with the preset's questions and shorter trials."""

    def __init__(self, home: Path) -> None:
        self.home = home
        spec = yaml.safe_load(PRESET.read_text(encoding="utf-8"))
        spec["proxy"] |= SMALLER
        spec["constraints"]["total_parameters"]["target"] = 60_000
        spec["space"]["depth"]["choices"] = [1, 2]
        spec["max_trial_count"] = TRIALS
        (home / "small.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")

    def start(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", RUN.format(str(self.home / "small.yaml")), "demo", "--home", str(self.home)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "FORMULARY_"))}
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def state(self) -> StudyState | None:
        with Database(f"sqlite:///{self.home}/formulary.db") as database, database.read_session() as session:
            return studies.state_of(session, 1)


@pytest.fixture
def demo(tmp_path: Path, processes_of: Callable[[Path], dict[int, str]]) -> Iterator[Demo]:
    yield Demo(tmp_path)
    for pid in processes_of(tmp_path):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.chaos
def test_it_is_interrupted_and_goes_on_to_its_end(demo: Demo, until: Until, processes_of: Any) -> None:
    process = demo.start()
    until(lambda: (demo.home / "server.json").exists() and demo.state() is StudyState.RUNNING)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, said
    assert "stopped; to go on: " in said
    assert processes_of(demo.home) == {}
    left = {StudyState.QUEUED, StudyState.RUNNING}  # the latter where its driver was ended before it could say so
    assert demo.state() in left

    said = run_to_its_end(demo, processes_of)
    (before,) = map(int, re.findall(rf"continuing study 1: (\d+) of {TRIALS} trials finished", said))
    assert said.count(" complete: bits_per_byte") == TRIALS - before


def test_it_shows_formulas_and_trains_what_it_exports(demo: Demo, processes_of: Any) -> None:
    said = run_to_its_end(demo, processes_of)
    assert said.count(" complete: bits_per_byte") == TRIALS


def run_to_its_end(demo: Demo, processes_of: Any) -> str:
    """What it said on standard error."""
    process = demo.start()
    printed, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said
    assert re.search(r"open http://127.0.0.1:\d+/login\?code=", said)
    assert len(re.findall(r"^\d+ +COMPLETE ", printed, flags=re.MULTILINE)) == TRIALS
    assert "learning_rate_batch" in printed
    first, last = map(float, re.findall(r"loss (\d+\.\d+) -> (\d+\.\d+) over 20 steps", printed)[0])
    assert last < first
    assert (demo.home / "model-1" / "formulary.json").is_file()
    assert said.rstrip().endswith(f"--home {demo.home} serve")
    assert processes_of(demo.home) == {}
    assert demo.state() is StudyState.COMPLETED
    return str(said)
