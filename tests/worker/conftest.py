"""A worker process with a Ray of its own, on a home of its own; nothing of it outlives the test."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from studies import service
from studies.database import Database, Session
from studies.records import Study, Trial, TrialState
from studies.repository import studies, trials

DEADLINE_S = 600.0
ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


@dataclass
class Home:
    """A home with its database, and the worker processes that were started on it."""

    folder: Path
    database: Database
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @staticmethod
    def wait_until(condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {DEADLINE_S} s"
            time.sleep(0.1)

    def start_worker(self) -> "subprocess.Popen[bytes]":
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "FORMULARY_"))}
        command = [sys.executable, "-P", "-m", "api.cli", "worker", "--home", str(self.folder)]
        with (self.folder / "worker.log").open("ab") as output:
            worker = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        self.workers.append(worker)
        return worker

    def create(self, trial_count: int = 8, parallel_trial_count: int = 2) -> Study:
        document = {
            "name": "real trials",
            "space": {"depth": {"type": "int", "low": 1, "high": trial_count}},
            "sampler": {"kind": "grid"},
            "proxy": {
                "corpus": {"kind": "text", "path": "words.txt"},
                "train_tokens": 12_000,
                "validation_bytes": 20_000,
                "vocabulary_size": 300,
                "sequence_length": 64,
                "width": 32,
                "head_dim": 16,
                "batch_tokens": 512,
            },
            "max_trial_count": trial_count,
            "parallel_trial_count": parallel_trial_count,
        }
        with self.database.session() as session:
            return service.create_study(session, "ada", document, [self.folder / "corpora"])

    def change(self, study: Study, control: Callable[[Session, str, int], object]) -> None:
        with self.database.session() as session:
            control(session, "ada", study.id)

    def look(self, study: Study) -> Study:
        with self.database.read_session() as session:
            found = studies.get(session, study.id)
        assert found is not None
        return found

    def trials(self, study: Study) -> list[Trial]:
        with self.database.read_session() as session:
            return trials.page(session, study.id, None, None)

    def complete(self, study: Study) -> list[Trial]:
        return [trial for trial in self.trials(study) if trial.state is TrialState.COMPLETE]

    def wait_for_complete(self, study: Study, count: int) -> list[Trial]:
        """Wait until so many trials are complete, more of them are to come, and one runs."""
        self.wait_until(lambda: len(self.complete(study)) >= count, f"{count} complete trials")
        done = self.complete(study)
        assert self.look(study).state == "RUNNING", self.look(study)
        return done

    def wait_for_end(self, study: Study) -> Study:
        self.wait_until(lambda: self.look(study).state in ENDED, "the study's end")
        return self.look(study)

    def node(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.folder / "ray" / "node.json").read_text())
        return record

    def ray_processes(self) -> list[psutil.Process]:
        """``ray start`` of this home's newest Ray, and all below it."""
        pid = int(self.node()["process"].split(":")[1])
        try:
            start = psutil.Process(pid)
            return [start, *start.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def drivers(self, study: Study) -> list[psutil.Process]:
        wanted = ["run-study", str(study.id)]
        place = str(self.folder)
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if (line := process.info["cmdline"] or []) and line[-6:-4] == wanted and line[-1] == place
        ]

    def clear(self) -> None:
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            try:
                worker.wait(60)
            except subprocess.TimeoutExpired:
                worker.kill()
        if (self.folder / "ray" / "node.json").exists():
            for process in self.ray_processes():
                process.kill()
            shutil.rmtree(self.node()["folder"], ignore_errors=True)


@contextmanager
def new_home(folder: Path) -> Iterator[Home]:
    (folder / "corpora").mkdir(parents=True)
    text = Path(argparse.__file__).read_text(encoding="utf-8")
    (folder / "corpora" / "words.txt").write_text(text, encoding="utf-8")
    with Database(f"sqlite:///{folder / 'formulary.db'}") as database:
        database.migrate()
        place = Home(folder, database)
        try:
            yield place
        finally:
            place.clear()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with new_home(tmp_path / "home") as place:
        yield place


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose worker runs; for tests that leave it so."""
    with new_home(tmp_path_factory.mktemp("worker") / "home") as place:
        place.start_worker()
        yield place
