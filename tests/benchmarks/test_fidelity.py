"""The statistics of benchmarks/fidelity, and its design."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from benchmarks.fidelity.agreement import agreement, known_order, spearman, standard_deviation
from benchmarks.fidelity.design import CONFIGS, SETTINGS, config
from model.counts import count_parameters

VALUES = st.lists(st.floats(-10, 10), min_size=3, max_size=15)


def all_pairs(n: int) -> np.ndarray:
    return ~np.eye(n, dtype=np.bool_)


@given(VALUES, st.randoms(use_true_random=False))
def test_over_all_pairs_it_is_spearmans_coefficient(values: list[float], chance: object) -> None:
    other = [chance.choice([-1.0, 1.0, 2.0]) * value for value in values]  # type: ignore[attr-defined]
    found = spearman(np.array(values), np.array(other), all_pairs(len(values)))
    if len(set(values)) == 1 or len(set(other)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(values, other).statistic, abs=1e-9)


def test_pairs_within_the_noise_are_left_out() -> None:
    first, second = [1.0, 1.01, 2.0, 3.0], [1.01, 1.0, 2.0, 3.0]
    found = agreement(first, second, (0.02, 0.02), np.random.default_rng(0))
    assert found.spearman_of_all == pytest.approx(0.8)
    assert found.spearman == pytest.approx(1.0)
    assert (found.known_pairs, found.pairs) == (5, 6)
    assert agreement(first, second, (0.002, 0.02), np.random.default_rng(0)).known_pairs == 5, "known in both"


def test_where_no_order_is_known_nothing_is_said() -> None:
    found = agreement([1.0, 1.1, 1.2], [1.0, 1.2, 1.1], (1.0, 1.0), np.random.default_rng(0))
    assert math.isnan(found.spearman)
    assert math.isnan(found.low)
    assert found.known_pairs == 0


def test_diverged_runs_are_the_worst_and_have_no_order_among_themselves() -> None:
    values = np.array([1.0, math.inf, 2.0, math.inf])
    assert known_order(values, 0.1).sum() == 2 * 5
    assert (
        agreement([1.0, math.inf, 2.0, 3.0], [1.0, 9.0, 2.0, 3.0], (0.1, 0.1), np.random.default_rng(0)).spearman == 1
    )


def test_the_interval_covers_what_is_planted() -> None:
    generator = np.random.default_rng(5)
    planted, covered, trials = 0.6, 0, 40
    for _ in range(trials):
        first = generator.normal(size=30)
        second = planted * first + math.sqrt(1 - planted**2) * generator.normal(size=30)
        found = agreement(first.tolist(), second.tolist(), (0.0, 0.0), generator)
        covered += found.low <= 6 / math.pi * math.asin(planted / 2) <= found.high
    assert covered / trials >= 0.85  # a percentile interval of 30 rows is somewhat short


def test_the_noise_is_that_of_a_sample() -> None:
    assert standard_deviation([1.0, 2.0, 3.0]) == 1.0


@pytest.mark.parametrize("index", range(CONFIGS))
def test_a_config_is_the_same_at_every_size(index: int) -> None:
    configs = [config(setting, index) for setting in SETTINGS]
    assert len({(one.architecture.depth, one.optimization.learning_rate) for one in configs}) == 1
    for one, setting in zip(configs, SETTINGS, strict=True):
        assert count_parameters(one.architecture).total == pytest.approx(setting.total_parameters, rel=0.03)
        assert one.length.amount == setting.train_bytes
