"""How trials share the cores of a CPU: two of one thread at once, one of two threads, and threads that spin.

``python -m benchmarks.thread_sharing`` prints tokens/s of a 1M-parameter proxy, all through ``run_search``.
"""

import os
import statistics
import tempfile
from pathlib import Path

from search.cluster import connection, quiet_environment, quiet_logs
from search.constraints import Constraints
from search.events import TrialCompleted, TrialEvent
from search.problem import SearchProblem
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.space import Space
from search.tune import run_search
from trainer.config import ProxySettings

ROUNDS = 3
SETTINGS = ProxySettings(train_tokens=40_000, evaluations=1, validation_bytes=20_000, precision="bfloat16")


def rate(storage: Path, trials: int, threads: int) -> float:
    """Training tokens per second, over all trials that run at once."""
    problem = SearchProblem(
        study="benchmark",
        space=Space.build({}, {"seed": tuple(range(trials))}, Constraints(), SETTINGS),
        objectives=(Objective(metric="bits_per_byte"),),
        sampler=SamplerSpec(),
        scheduler=SchedulerSpec(),
        max_trial_count=trials,
        parallel_trial_count=trials,
        resources=Resources(cpu=threads),
        storage=storage,
    )
    events: list[TrialEvent] = []
    run_search(problem, [], events.append, lambda: False)
    ended = [event for event in events if isinstance(event, TrialCompleted)]
    return sum(event.metrics["train_tokens_per_second"] for event in ended)


def rates(trials: int, threads: int, environment: dict[str, str]) -> float:
    """The same on a Ray of its own, whose processes inherit ``environment``."""
    os.environ.update(environment)
    try:
        with tempfile.TemporaryDirectory() as name, quiet_environment(), quiet_logs(), connection(None):
            rate(Path(name), 1, 1)  # fills the caches of the corpus
            return rate(Path(name), trials, threads)
    finally:
        for variable in environment:
            del os.environ[variable]


def main() -> None:
    """Print every round and the ratios of the medians."""
    cases: dict[str, tuple[int, int, dict[str, str]]] = {
        "two trials of one thread": (2, 1, {}),
        "one trial of two threads": (1, 2, {}),
        "the same, threads that spin": (1, 2, {"OMP_WAIT_POLICY": "ACTIVE"}),
    }
    seen: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, (trials, threads, environment) in cases.items():
            seen[name].append(rates(trials, threads, environment))
            print(f"{name}: {seen[name][-1]:.0f} tokens/s", flush=True)
    two, one, spinning = (statistics.median(values) for values in seen.values())
    print(f"two of one / one of two: {two / one:.2f}; sleeping / spinning threads: {one / spinning:.2f}")


if __name__ == "__main__":
    main()
