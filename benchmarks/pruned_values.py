"""What a sampler should be told of a trial that was stopped: ``python -m benchmarks.pruned_values``.

Searches of planted surfaces in simulated time (``search.simulate``): a bowl of 20 learning rates × 20 decays, where low
rates learn late, with losses at evaluations 1, 3 and 9. Compared is the excess of the best trial that ended over
the lowest recorded loss, when 12 whole runs are spent.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest.mock import patch

import numpy as np

from search.problem import SearchProblem
from search.recorded import RecordedEvaluation, RecordedRun, Recording
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.simulate import simulate
from search.stopping.curves import Curves

STUDIES = 120
WHOLE_RUNS = 12
LEVELS = (1, 3, 9)
COOLDOWN = 0.2
NOISE = 0.005
METRIC = "bits_per_byte"

TOLD: Mapping[str, Callable[[Curves, int], float]] = {
    "what it would have reached": Curves.expected_final,
    "its last loss": lambda curves, number: list(curves.of(number).values())[-1],
    "a failure": lambda curves, number: math.nan,
}


def surface(seed: int) -> tuple[Recording, float]:
    """A surface and the lowest of its last losses."""
    draws = np.random.default_rng(seed)
    centre = draws.uniform(0.25, 0.75, 2)
    runs, lowest = [], math.inf
    for rate_place in np.linspace(0, 1, 20):
        for decay_place in np.linspace(0, 1, 20):
            end = 3 + 0.8 * (rate_place - centre[0]) ** 2 + 0.3 * (decay_place - centre[1]) ** 2
            drop = 0.3 + 0.3 * (1 - rate_place) + draws.normal(0, 0.05)
            evaluations = []
            for level in LEVELS:
                loss = end + drop * ((level / LEVELS[-1]) ** -0.4 - 1) + draws.normal(0, NOISE)
                before = sum(other for other in LEVELS if other < level)
                cost = (level + COOLDOWN * before) / LEVELS[-1]
                evaluations.append(RecordedEvaluation(level, (float(loss),), cost))
            parameters = {"learning_rate": float(1e-4 * 100**rate_place), "weight_decay": float(0.3 * decay_place)}
            runs.append(RecordedRun(parameters, tuple(evaluations), evaluations[-1].cost))
            lowest = min(lowest, float(loss))
    return Recording.of(runs), lowest


def excess(sampler: str, scheduler: str, seed: int) -> float:
    """Loss of the best trial that ended before the budget was spent, above the lowest of the surface."""
    recording, lowest = surface(seed)
    problem = SearchProblem(
        study="study-1",
        space=recording.space,
        objectives=(Objective(metric=METRIC),),
        sampler=SamplerSpec.model_validate({"kind": sampler, "seed": seed}),
        scheduler=SchedulerSpec.model_validate({"kind": scheduler}),
        max_trial_count=90,
        parallel_trial_count=2,
        resources=Resources(),
        storage=Path(),
    )
    best = math.inf
    for trial in simulate(problem, recording):
        if trial.spent > WHOLE_RUNS:
            break
        if trial.state == "COMPLETE" and trial.values is not None:
            best = min(best, trial.values[0])
    return best - lowest


def main() -> None:
    """Print means and standard errors."""
    for sampler in ("tpe", "bowl"):
        for scheduler in ("none", "asha", "hyperband"):
            for name, told in TOLD.items():
                with patch.object(Curves, "expected_final", told):
                    found = [excess(sampler, scheduler, seed) for seed in range(STUDIES)]
                error = np.std(found) / math.sqrt(STUDIES)
                print(f"{sampler}, {scheduler}, told {name}: {np.mean(found):.4f} ± {error:.4f}", flush=True)
                if scheduler == "none":
                    break


if __name__ == "__main__":
    main()
