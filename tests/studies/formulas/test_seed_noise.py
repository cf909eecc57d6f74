"""The noise between seeds, pooled over configs."""

import math

import numpy as np
import pytest

from studies.formulas.seed_noise import SeedNoise, seed_noise


def test_it_is_the_pooled_deviation_within_configs() -> None:
    runs = [({"depth": 2, "seed": seed}, value) for seed, value in enumerate((1.0, 2.0, 3.0))]
    runs += [({"depth": 4, "seed": seed}, value) for seed, value in enumerate((10.0, 12.0))]
    assert seed_noise(runs) == SeedNoise(math.sqrt((2.0 + 2.0) / 3), 3)


def test_planted_noise_is_found_whatever_the_configs() -> None:
    generator = np.random.default_rng(0)
    runs = [
        ({"depth": depth, "init_scheme": scheme, "seed": seed}, depth + generator.normal(scale=0.05))
        for depth in range(20)
        for scheme in ("constant", "gpt2")
        for seed in range(5)
    ]
    found = seed_noise(runs)
    assert found is not None
    assert found.degrees_of_freedom == 160
    assert found.standard_deviation == pytest.approx(0.05, rel=0.2)


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [({"depth": 2}, 1.0), ({"depth": 2}, 2.0)],
        [({"seed": 0}, 1.0), ({"seed": 1}, math.inf)],
        [({"seed": 0}, 1.0), ({"seed": 0}, 1.0)],
    ],
)
def test_without_a_second_seed_there_is_none(runs: list[tuple[dict[str, int], float]]) -> None:
    assert seed_noise(runs) is None
