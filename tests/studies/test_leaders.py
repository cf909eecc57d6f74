"""Leaders on fresh seeds: their means, their order, and whether the winner is one beyond noise."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from studies.leaders import Leader, compare, rank_leaders
from studies.records import Trial, TrialState


def replicate(number: int, leader: int, value: float | None) -> Trial:
    state = TrialState.FAIL if value is None else TrialState.COMPLETE
    metrics = {} if value is None else {"bits_per_byte": value}
    ended: Any = "some time"
    attributes = {"origin": "replicate", "replicate_of": leader, "replicate": number}
    return Trial(number, state, {}, metrics, attributes, None, 1, ended, ended)


def ranked(values: dict[int, list[float | None]], direction: Any = "minimize") -> list[Leader]:
    rows = [
        replicate(100 + place, leader, value) for leader, found in values.items() for place, value in enumerate(found)
    ]
    return rank_leaders(rows, "bits_per_byte", direction)


def test_leaders_are_ranked_by_their_means_on_fresh_seeds() -> None:
    values: dict[int, list[float | None]] = {3: [2.0, 2.2], 8: [1.9, 2.0], 5: [1.0, None], 9: [None, None]}
    assert [leader.number for leader in ranked(values)] == [8, 3, 5]
    assert [leader.number for leader in ranked(values, "maximize")] == [3, 8, 5]
    assert ranked(values)[0].mean == pytest.approx(1.95)
    assert ranked(values)[2].failed == 1
    assert ranked(values)[2].standard_error is None


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_interval_is_welchs(direction: Any) -> None:
    first, second = [2.00, 2.02, 2.01], [2.20, 2.24, 2.15]
    if direction == "maximize":
        first, second = second, first
    compared = compare(ranked({1: first, 2: second}, direction), direction)
    sign = -1 if direction == "minimize" else 1
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert compared is not None
    assert sorted([sign * expected.low, sign * expected.high]) == pytest.approx([compared.low, compared.high])
    assert compared.beyond_noise
    assert compared.difference > 0


def test_who_does_not_differ_is_not_called_a_winner() -> None:
    compared = compare(ranked({1: [2.0, 2.1, 2.2], 2: [2.05, 2.1, 2.21]}), "minimize")
    assert compared is not None
    assert not compared.beyond_noise
    assert compare(ranked({1: [2.0, 2.1]}), "minimize") is None
    assert compare(ranked({1: [2.0], 2: [2.1]}), "minimize") is None
    same = compare(ranked({1: [2.0, 2.0], 2: [2.0, 2.0]}), "minimize")
    assert same is not None
    assert not same.beyond_noise


@pytest.mark.parametrize("count", [2, 3, 10])
@pytest.mark.parametrize("largest", [1.0, 10.0])
def test_equal_settings_are_seldom_told_apart(count: int, largest: float) -> None:
    """Of leaders that are equal, or differ in their noise alone, a winner is named in at most 5 % of studies."""
    generator = np.random.default_rng(0)
    wrong = 0
    for _ in range(1000):
        noise = np.exp(generator.uniform(0, np.log(largest), size=(count, 1)))
        draws = noise * generator.normal(size=(count, 3))
        compared = compare(ranked({number: list(row) for number, row in enumerate(draws.tolist())}), "minimize")
        wrong += compared is not None and compared.beyond_noise
    assert wrong <= 60  # 5 % and one and a half standard errors of 1000 studies


def test_the_mean_on_fresh_seeds_is_not_the_luckiest_draw() -> None:
    """Selection among equal settings biases the selecting run, and not the mean on fresh seeds."""
    generator = np.random.default_rng(1)
    lucky, fresh = [], []
    for _ in range(500):
        selecting = generator.normal(size=20)
        leaders = np.argsort(selecting)[:1]
        lucky.append(selecting[leaders[0]])
        fresh.append(ranked({int(leaders[0]): generator.normal(size=3).tolist()})[0].mean)
    assert np.mean(lucky) < -1.5
    assert abs(np.mean(fresh)) < 0.1
