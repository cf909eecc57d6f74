"""What a trial costs beside its training, two trials at a time, one result each.

Ray Tune's defaults over ours, both without a database; and ours from end to end, with its rows.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from ray import tune

from search.cluster import connection, quiet_environment, quiet_logs
from search.constraints import Constraints
from search.problem import Report, SearchProblem, TrialRequest
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.space import Space
from search.tune import run_search
from studies import service
from studies.database import Database
from studies.records import TrialState
from studies.repository import trials
from studies.runner import run_study
from trainer.config import ProxySettings

DEFAULT_TRIALS, OUR_TRIALS = 10, 200
STUDY_TRIALS = 1000
BUDGET_S = 0.05
"""What a trial of a study may cost beside its training."""


def no_op(requests: Sequence[TrialRequest]) -> Iterator[list[Report]]:
    """Trials that end at once."""
    yield [Report(request.number, 1, {"bits_per_byte": float(request.number)}, finished=True) for request in requests]


def ours(folder: Path) -> float:
    """Seconds a trial through ``run_search``, the start of the search included."""
    settings = ProxySettings(train_tokens=1000)
    seeds = {"seed": tuple(range(OUR_TRIALS))}
    problem = SearchProblem(
        study="benchmark",
        space=Space.build({}, seeds, Constraints(), settings),
        objectives=(Objective(metric="bits_per_byte"),),
        sampler=SamplerSpec(kind="random"),
        scheduler=SchedulerSpec(),
        max_trial_count=OUR_TRIALS,
        parallel_trial_count=2,
        resources=Resources(),
        storage=folder,
    )
    start = time.perf_counter()
    run_search(problem, [], lambda event: None, lambda: False, objective=no_op)
    return (time.perf_counter() - start) / OUR_TRIALS


def defaults(folder: Path) -> float:
    """Seconds a trial of a function trainable under Ray Tune's defaults."""
    tuner = tune.Tuner(
        lambda config: tune.report({"bits_per_byte": 1.0}),
        tune_config=tune.TuneConfig(num_samples=DEFAULT_TRIALS, max_concurrent_trials=2),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    )
    start = time.perf_counter()
    tuner.fit()
    return (time.perf_counter() - start) / DEFAULT_TRIALS


def measure() -> float:
    """Ray Tune's defaults over ours, on the same local Ray."""
    with tempfile.TemporaryDirectory() as name, quiet_logs(), connection(None):
        folder = Path(name)
        theirs = defaults(folder)
        with quiet_environment():
            mine = ours(folder)
    print(f"Ray Tune's defaults {theirs * 1e3:.0f} ms a trial, ours {mine * 1e3:.1f} ms")
    return theirs / mine


def measure_end_to_end() -> float:
    """The budget over the seconds of a study's trial: Ray's start and end, the search, the rows, the formulas."""
    document = {
        "version": 1,
        "name": "trials that do nothing",
        "space": {"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1, "log": True}},
        "sampler": {"kind": "random"},
        "proxy": {"corpus": {"kind": "builtin"}, "train_tokens": 1000},
        "max_trial_count": STUDY_TRIALS,
        "parallel_trial_count": 2,
    }
    with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{folder}/formulary.db") as database:
        database.migrate()
        with database.session() as session:
            study = service.create_study(session, "ada", document, [])
        start = time.perf_counter()
        run_study(database, study.id, Path(folder) / "storage", search=partial(run_search, objective=no_op))
        spent = (time.perf_counter() - start) / STUDY_TRIALS
        with database.read_session() as session:
            counts = trials.count_by_state(session, study.id)
    if counts != {TrialState.COMPLETE: STUDY_TRIALS}:
        raise RuntimeError(f"not every trial has its row: {counts}")
    print(f"{spent * 1e3:.1f} ms a trial, {STUDY_TRIALS} of them, from the start of the search to its last row")
    return BUDGET_S / spent
