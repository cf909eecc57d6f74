"""``formulary run``: to the end, interrupted and continued, waiting for another process; planted and real."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from search.events import Observer, TrialCompleted, TrialFailed, TrialProgress, TrialStarted
from search.orders import Look
from search.plan import Plan
from search.problem import PastTrial, SearchProblem
from studies import runner
from studies.database import Database
from studies.errors import LeaseHeld
from studies.repository import leases
from studies.tables import StudyRow

Formulary = Callable[..., Result]


def planted_search(
    problem: SearchProblem,
    history: Sequence[PastTrial],
    observer: Observer,
    should_stop: Callable[[], bool],
    *,
    ray_address: str | None,
    look: Look,
    interrupted_after: int = 1000,
    broken: bool = False,
) -> None:
    """What ``search.tune.run_search`` does, with a loss that follows from the parameters, in this process."""
    plan = Plan(problem, history, look)
    for (trial,) in iter(plan.start_next, ()):
        if trial.number >= interrupted_after:
            raise KeyboardInterrupt
        loss = float(trial.parameters["depth"]) + 100 * float(trial.parameters["learning_rate"])
        observer(TrialStarted(trial.number, trial.parameters, trial.attributes))
        observer(TrialProgress(trial.number, 1, {"bits_per_byte": loss + 1}))
        ended = TrialCompleted(trial.number, {"bits_per_byte": loss}, {})
        observer(TrialFailed(trial.number, "the loss is not finite") if broken else ended)
        plan.end(trial.number, (loss,))


@pytest.fixture
def search_with(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    run_study = runner.run_study

    def use(**options: Any) -> None:
        monkeypatch.setattr(runner, "run_study", partial(run_study, search=partial(planted_search, **options)))

    use()
    return use


@pytest.fixture
def formulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, search_with: Callable[..., None]) -> Formulary:
    monkeypatch.setenv("FORMULARY_HOME", str(tmp_path / "home"))

    def run(*arguments: object, status: int = 0) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == status, (result.output, result.exception)
        return result

    return run


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path}/home/formulary.db") as database:
        yield database


def test_ends_with_the_table_the_best_trial_the_formulas_and_the_id(formulary: Formulary, spec: Path) -> None:
    result = formulary("run", spec)
    lines = result.stdout.splitlines()
    assert lines[-1] == "1"
    assert lines[0].split() == ["trial", "state", "depth", "learning_rate", "bits_per_byte"]
    losses = [float(line.split()[-1]) for line in lines[1:10]]
    assert losses == sorted(losses)
    assert "best trial 3: bits_per_byte 1.1 with depth=1 learning_rate=0.001" in lines
    assert "depth_width" in result.stdout
    assert "verdict: " in result.stdout
    assert "formulary export 1 --format hf --out best" in lines[-3]
    ended = [line for line in result.stderr.splitlines() if line.startswith("[")]
    assert [line.split("]")[0] for line in ended] == [f"[{number} of 9" for number in range(1, 10)]
    assert "\x1b" not in result.output


def test_the_next_command_names_a_home_that_was_given(formulary: Formulary, spec: Path, tmp_path: Path) -> None:
    assert f"formulary --home {tmp_path}/other export 1" in formulary("run", spec, "--home", tmp_path / "other").stdout


def test_goes_on_where_it_was_interrupted(formulary: Formulary, spec: Path, search_with: Callable[..., None]) -> None:
    search_with(interrupted_after=4)
    interrupted = formulary("run", spec, status=130)
    assert "study 1 is interrupted; go on with the same command" in interrupted.stderr
    assert interrupted.stdout == ""
    search_with()
    result = formulary("run", spec)
    assert "continuing study 1: 4 of 9 trials finished" in result.stderr
    assert sum(line.startswith("[") for line in result.stderr.splitlines()) == 5
    assert result.stdout.splitlines()[-1] == "1"
    study = json.loads(formulary("study", "show", 1, "--json").stdout)
    assert study["state"] == "COMPLETED"
    assert [trial["number"] for trial in study["trials"]] == list(range(9))
    assert formulary("run", spec).stdout.splitlines()[-1] == "2"


def test_warns_of_a_grid_that_is_smaller_than_asked(formulary: Formulary, spec: Path) -> None:
    spec.write_text(spec.read_text().replace("max_trial_count: 9", "max_trial_count: 12"))
    result = formulary("run", spec)
    assert result.stderr.splitlines()[0] == (
        "warning: max_trial_count: the grid has 9 trials, so that the study ends before 12"
    )
    assert result.stdout.splitlines()[-1] == "1"


def test_goes_on_with_a_paused_study(formulary: Formulary, spec: Path) -> None:
    formulary("study", "create", spec)
    formulary("study", "pause", 1)
    assert formulary("run", spec).stdout.splitlines()[-1] == "1"


def test_waits_for_the_process_that_holds_the_study(
    formulary: Formulary, spec: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.commands.run.POLL_S", 0.05)
    formulary("study", "create", spec)
    with database.session() as session:
        leases.claim(session, StudyRow, 1, "elsewhere:42::", timedelta(seconds=1))
    result = formulary("run", spec)
    waiting = [line for line in result.stderr.splitlines() if line.startswith("waiting")]
    assert len(waiting) == 1
    assert "elsewhere:42" in waiting[0]
    assert result.stdout.splitlines()[-1] == "1"


def test_shows_what_another_process_has_finished(
    formulary: Formulary, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    formulary("study", "create", spec)
    run_study = runner.run_study

    def held(database: Database, study_id: int, storage: Path, **options: Any) -> None:
        run_study(database, study_id, storage)
        raise LeaseHeld("study 1", "elsewhere:42::", datetime.now(UTC))

    monkeypatch.setattr(runner, "run_study", held)
    monkeypatch.setattr("api.commands.run.POLL_S", 0.05)
    assert formulary("run", spec).stdout.splitlines()[-1] == "1"


def test_a_study_without_a_complete_trial_failed(
    formulary: Formulary, spec: Path, search_with: Callable[..., None]
) -> None:
    search_with(broken=True)
    result = formulary("run", spec, status=1)
    assert result.stdout.splitlines()[-1] == "1"
    assert result.stderr.splitlines()[-1].startswith("error: study 1 failed: no trial completed")
