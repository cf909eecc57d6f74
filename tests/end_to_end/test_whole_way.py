"""From a study spec to formulas to an export that loads and trains, as a user does it: through the command line."""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from studies.database import Database
from studies.records import Trial, TrialState
from studies.repository import trials

pytestmark = pytest.mark.slow

SPEC = """
version: 1
name: whole-way
space:
  depth: {type: categorical, choices: [1, 2, 4]}
inner: {learning_rate: [4e-3, 1e-2]}
constraints:
  total_parameters: {target: 60000, tolerance: 0.03, solve_for: width}
sampler: {kind: grid, seed: 0}
proxy:
  corpus: {kind: text, path: words.txt}
  train_bytes: 20000
  sequence_length: 64
  vocabulary_size: 300
  head_dim: 8
  batch_tokens: 512
  validation_bytes: 10000
  evaluations: 2
max_trial_count: 6
parallel_trial_count: 2
"""


class CommandLine:
    """The ``formulary`` command with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {**os.environ, "FORMULARY_HOME": str(home)}

    def command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).with_name("formulary")), *arguments]

    def run(self, *arguments: str) -> str:
        result = subprocess.run(
            self.command(*arguments), env=self.environment, cwd=self.home, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )


@pytest.fixture(scope="module")
def command_line(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    home = tmp_path_factory.mktemp("home")
    write_spec(home, SPEC)
    return CommandLine(home)


def write_spec(home: Path, spec: str) -> None:
    """Write a spec, and beside it the text that it trains on."""
    (home / "spec.yaml").write_text(spec)
    shutil.copy(argparse.__file__, home / "words.txt")


@pytest.fixture(scope="module")
def study_id(command_line: CommandLine) -> str:
    return command_line.run("run", "spec.yaml").splitlines()[-1]


def test_every_trial_ran_and_is_stored(command_line: CommandLine, study_id: str) -> None:
    study = command_line.json("study", "show", study_id)
    assert study["state"] == "COMPLETED"
    assert [trial["number"] for trial in study["trials"]] == list(range(6))
    for trial in study["trials"]:
        assert trial["state"] == "COMPLETE"
        assert abs(trial["metrics"]["total_parameters"] / 60_000 - 1) <= 0.03
        assert 0 < trial["metrics"]["bits_per_byte"] < 8
        assert trial["metrics"]["train_bytes"] == pytest.approx(20_000, rel=0.1)
        assert {"depth", "width", "learning_rate"} <= trial["parameters"].keys()


def test_formulas_are_fitted_with_intervals_and_verdicts(command_line: CommandLine, study_id: str) -> None:
    formulas = command_line.json("formulas", study_id)
    (formula,) = [f for f in formulas if f["kind"] == "depth_width" and not f["variant"]]
    assert formula["verdict"] not in {"interim", "exploratory"}
    assert formula["coefficients"]
    for coefficient in formula["coefficients"].values():
        assert coefficient["level"] == 0.95


@pytest.fixture(scope="module", params=["formulary", pytest.param("hf", marks=pytest.mark.chaos)])
def export(request: pytest.FixtureRequest, command_line: CommandLine, study_id: str) -> Path:
    folder = command_line.home / f"export-{request.param}"
    command_line.run("export", study_id, "--format", request.param, "--out", str(folder))
    assert (folder / "formulary.json").is_file()
    return folder


def test_export_trains_with_falling_loss(command_line: CommandLine, export: Path) -> None:
    output = command_line.run("pretrain", str(export), "--max-steps", "20")
    losses = [float(number) for number in re.findall(r"\d+\.\d+", re.findall(r"loss .* -> .* over", output)[-1])]
    assert losses[-1] < losses[0] - 0.3
    again = command_line.run("pretrain", str(export), "--max-steps", "20")
    assert again.splitlines() == output.splitlines()[-1:]  # its checkpoint; nothing was trained


def test_transformers_loads_the_hf_export(command_line: CommandLine, study_id: str) -> None:
    folder = command_line.home / "loaded"
    command_line.run("export", study_id, "--format", "hf", "--out", str(folder))
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = "def main() -> None:\n    return\n"
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text
    best = min(
        command_line.json("study", "show", study_id)["trials"], key=lambda trial: trial["metrics"]["bits_per_byte"]
    )
    assert model.num_parameters() == best["metrics"]["total_parameters"]


@pytest.mark.chaos
def test_killed_run_goes_on_from_its_rows(tmp_path: Path) -> None:
    command_line = CommandLine(tmp_path)
    write_spec(tmp_path, SPEC)
    process = command_line.start("run", "spec.yaml")
    finished = wait_for_finished_trials(command_line.home, 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    study_id = command_line.run("run", "spec.yaml").splitlines()[-1]

    assert [study["id"] for study in command_line.json("study", "list")] == [int(study_id)]
    after = command_line.json("study", "show", study_id)
    assert after["state"] == "COMPLETED"
    assert [trial["number"] for trial in after["trials"]] == list(range(6))
    kept = {trial["number"]: trial["metrics"] for trial in after["trials"]}
    for trial in finished:
        assert kept[trial.number] == trial.metrics


def wait_for_finished_trials(home: Path, count: int) -> list[Trial]:
    """Look at the rows often: a command takes longer to start than a trial to end."""
    deadline = time.monotonic() + 120
    with Database(f"sqlite:///{home / 'formulary.db'}") as database:
        database.migrate()
        while time.monotonic() < deadline:
            with database.read_session() as session:
                finished = [
                    trial for trial in trials.page(session, 1, None, None) if trial.state is TrialState.COMPLETE
                ]
            if len(finished) >= count:
                return finished
            time.sleep(0.05)
    raise AssertionError("no trial finished")
