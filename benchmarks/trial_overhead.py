"""What a trial costs beside its training: Ray Tune's defaults over ours, two trials at a time, one result each."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ray import tune

from search.cluster import connection, quiet_environment, quiet_logs
from search.parameters import Constraints
from search.problem import Report, SearchProblem, TrialRequest
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.space import Space
from search.tune import run_search
from trainer.config import ProxySettings

DEFAULT_TRIALS, OUR_TRIALS = 10, 200


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
