"""How far runs of one config lie apart: what a difference between configs has to exceed."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SEED = "seed"


@dataclass(frozen=True, slots=True)
class SeedNoise:
    """Pooled over configs that were run with several seeds."""

    standard_deviation: float
    """In units of the metric; the same for all configs is assumed."""
    degrees_of_freedom: int
    """Runs less configs: with few of them the deviation itself is uncertain, by about 1 / √(2 df)."""


def seed_noise(runs: Iterable[tuple[Mapping[str, Any], float]]) -> SeedNoise | None:
    """Pool the deviation between seeds over parameters and value of each run; None where no config has two seeds."""
    configs: dict[tuple[tuple[str, Any], ...], dict[Any, float]] = defaultdict(dict)
    for parameters, value in runs:
        if SEED in parameters and math.isfinite(value):
            config = tuple(sorted(item for item in parameters.items() if item[0] != SEED))
            configs[config][parameters[SEED]] = value
    squares, degrees = 0.0, 0
    for values in configs.values():
        mean = math.fsum(values.values()) / len(values)
        squares += math.fsum((value - mean) ** 2 for value in values.values())
        degrees += len(values) - 1
    return SeedNoise(math.sqrt(squares / degrees), degrees) if degrees else None
