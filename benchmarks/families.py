"""A cascade against samplers of the whole space, on planted surfaces over families: ``python -m benchmarks.families``.

Losses are planted, so that the best of the whole space is known; a trial reads them with noise. Reported is by how much
the best point found so far, without noise, is worse than that: means over :data:`SEEDS` searches with 95 % intervals.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.bandits import Floats, interval
from search.constraints import Constraints
from search.events import Value
from search.parameters import CategoricalParameter, FloatParameter, Parameter
from search.problem import SearchProblem
from search.samplers import build_sampler
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.space import Space
from trainer.config import ProxySettings

SEEDS = 30
TRIALS = (20, 40, 80)
NOISE = 0.02
"""Deviation of what a trial reads (assumed: a little below that of bits per byte between seeds of a tiny run)."""
FAMILY = "vocabulary_size"
FAMILIES = (512, 1024, 2048, 4096, 8192, 16384)
LEVELS = (0.30, 0.12, 0.0, 0.05, 0.20, 0.50)
"""Best loss of each family above the best of all."""
OWN_CENTRES = (0.2, 0.75, 0.8, 0.35, 0.5, 0.6)
"""Where each family's bowls have their floor, where these are its own."""
AXES: Mapping[str, Parameter] = {
    "learning_rate": FloatParameter(type="float", low=1e-3, high=1e-1, log=True),
    "weight_decay": FloatParameter(type="float", low=0.0, high=0.4),
    "init_std": FloatParameter(type="float", low=1e-2, high=1e-1, log=True),
}
METHODS: Mapping[str, Mapping[str, str]] = {
    "random": {"kind": "random"},
    "tpe": {"kind": "tpe"},
    "bowl": {"kind": "bowl"},
    "cascade of random": {"kind": "cascade", "family": FAMILY, "below": "random"},
    "cascade of tpe": {"kind": "cascade", "family": FAMILY, "below": "tpe"},
    "cascade of bowl": {"kind": "cascade", "family": FAMILY, "below": "bowl"},
}


@dataclass(frozen=True)
class Surface:
    """A planted loss over the families and their parameters; 0 at best."""

    name: str
    centre: Callable[[int], float]
    """By family, where its bowls have their floor on every axis, in [0, 1]."""
    axes: Callable[[int], tuple[str, ...]] = lambda family: tuple(AXES)
    """By family, the parameters that exist in it."""

    def loss(self, values: Mapping[str, Value]) -> float:
        """Bowls of curvature 1 in the units of the cube, summed, above the family's level."""
        family = FAMILIES.index(int(values[FAMILY]))
        units = (AXES[name].position(values[name]) for name in self.axes(family))  # type: ignore[arg-type]
        return LEVELS[family] + sum((unit - self.centre(family)) ** 2 for unit in units)

    def space(self) -> Space:
        """The space, with a condition for each parameter that some families lack."""
        holders = {name: [FAMILIES[one] for one in range(len(FAMILIES)) if name in self.axes(one)] for name in AXES}
        families = CategoricalParameter(type="categorical", choices=FAMILIES)
        return Space.build(
            {FAMILY: families, **AXES},
            {},
            Constraints(),
            ProxySettings(train_bytes=1e6, init_std=0.02),
            {name: {FAMILY: held} for name, held in holders.items() if len(held) < len(FAMILIES)},
        )


SURFACES = (
    Surface("one optimum for all families", lambda family: 0.7),
    Surface("an optimum for each family", lambda family: OWN_CENTRES[family]),
    Surface(
        "families with parameters of their own",
        lambda family: OWN_CENTRES[family],
        lambda family: ("learning_rate", tuple(AXES)[1 + family % 2]),
    ),
)


def search(surface: Surface, sampler: Mapping[str, str], seed: int) -> Floats:
    """Loss of the best point so far, without noise, after each of the trials."""
    made = build_sampler(
        SearchProblem(
            study="families",
            space=surface.space(),
            objectives=(Objective(metric="bits_per_byte"),),
            sampler=SamplerSpec.model_validate({**sampler, "seed": seed}),
            scheduler=SchedulerSpec(),
            max_trial_count=TRIALS[-1],
            parallel_trial_count=1,
            resources=Resources(),
            storage=Path("unused"),
        )
    )
    noise = np.random.default_rng(seed).normal(0, NOISE, TRIALS[-1])
    best, found = math.inf, []
    for outer in range(TRIALS[-1]):
        point = made.point(outer)
        assert point is not None  # the axes are continuous
        loss = surface.loss(point.values)
        made.tell(outer, (loss + noise[outer],))
        best = min(best, loss)
        found.append(best)
    return np.array(found)


def table(seeds: int = SEEDS) -> str:
    """A row for each surface and method, in Markdown."""
    rows = [f"| surface | method | {' | '.join(f'{count} trials' for count in TRIALS)} |", "|---|---|---|---|---|"]
    for surface in SURFACES:
        for name, sampler in METHODS.items():
            found = np.array([search(surface, sampler, seed) for seed in range(seeds)])
            cells = " | ".join(interval(found[:, count - 1]) for count in TRIALS)
            rows.append(f"| {surface.name} | {name} | {cells} |")
            print(rows[-1], flush=True)
    return "\n".join(rows)


if __name__ == "__main__":
    table()
