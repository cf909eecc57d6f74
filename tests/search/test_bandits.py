"""Rules of bandits: every arm is tried, regret grows slowly, and extreme regions beat means where they should."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.bandits import (
    Arm,
    ErUcbNonStationary,
    ErUcbStationary,
    OverMedian,
    SuccessiveElimination,
    Ucb1,
    Uniform,
    ranking,
)

OVER_MEDIAN = OverMedian(ErUcbStationary(beta=0.0, gamma=1.0))
RULES = [OVER_MEDIAN, Uniform(), Ucb1(), SuccessiveElimination(), ErUcbStationary(), ErUcbNonStationary(horizon=200)]
HIGH_MEAN, HEAVY_TAIL = (0.62, 0.02), (0.58, 0.15)
"""Means and deviations; the second arm reaches 0.9 in one of 60 pulls, the first never."""


def play(rule, arms, pulls, seed=0):
    """The arm of every pull; ``arms`` are (mean, deviation) of clipped normal feedback."""
    draws = np.random.default_rng(seed)
    feedback = [np.zeros(0) for _ in arms]
    chosen = []
    for _ in range(pulls):
        arm = ranking(rule, [Arm(known) for known in feedback])[0]
        feedback[arm] = np.append(feedback[arm], np.clip(draws.normal(*arms[arm]), 0, 1))
        chosen.append(arm)
    return chosen


@pytest.mark.parametrize("rule", RULES)
@given(means=st.lists(st.floats(0, 1), min_size=1, max_size=8), seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_each_arm_is_tried_first(rule, means, seed):
    chosen = play(rule, [(mean, 0.1) for mean in means], 2 * len(means), seed)
    first = 2 * len(means) if isinstance(rule, ErUcbNonStationary) else len(means)
    assert set(chosen[:first]) == set(range(len(means)))


@pytest.mark.parametrize("rule", RULES)
@given(
    arms=st.lists(
        st.builds(
            lambda told, pending: Arm(np.array(told), pending),
            st.lists(st.floats(0, 1), max_size=6),
            st.integers(0, 4),
        ),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=50, deadline=None)
def test_any_feedback_has_an_index(rule, arms):
    indices = rule.indices(arms)
    assert indices.shape == (len(arms),)
    assert not np.isnan(indices).any()
    assert sorted(ranking(rule, arms)) == list(range(len(arms)))
    untried = [number for number, arm in enumerate(arms) if arm.pulls == 0]
    assert not untried or ranking(rule, arms)[0] in untried or isinstance(rule, ErUcbNonStationary)


@pytest.mark.parametrize("rule", RULES)
def test_pending_pulls_spread_over_the_arms(rule):
    pending = [0, 0, 0]
    for _ in range(9):
        pending[ranking(rule, [Arm(pending=count) for count in pending])[0]] += 1
    assert pending == [3, 3, 3]


@pytest.mark.parametrize("rule", [Ucb1(), ErUcbStationary(), OVER_MEDIAN])
def test_regret_grows_more_slowly_than_the_pulls(rule):
    wrong = np.cumsum([arm != 0 for arm in play(rule, [(0.85, 0.05), (0.15, 0.05), (0.2, 0.05)], 1600)])
    assert wrong[1599] < 0.2 * 1600
    assert wrong[1599] - wrong[799] < 0.7 * (wrong[799] - wrong[0])


def test_the_extreme_region_is_preferred_where_means_mislead():
    share = {rule: np.mean(np.array(play(rule, [HIGH_MEAN, HEAVY_TAIL], 600)) == 1) for rule in RULES}
    assert share[OVER_MEDIAN] > 0.6
    assert share[ErUcbStationary()] > 0.53
    assert share[Ucb1()] < 0.5
    assert share[SuccessiveElimination()] <= 0.5


def test_the_index_is_that_of_the_equations():
    arms = [Arm(np.array([0.5, 0.9])), Arm(np.array([0.7]), pending=2)]
    radius = [math.sqrt(2 * math.log(6) / 2), math.sqrt(2 * math.log(6) / 3)]
    first = 20 * 0.1 + math.sqrt((0.1**2 + 0.3**2) / 2 / 0.01) + radius[0] + math.sqrt(radius[0] / 0.01)
    second = 20 * 0.1 + math.sqrt(0.1**2 / 0.01) + radius[1] + math.sqrt(radius[1] / 0.01)
    assert ErUcbStationary().indices(arms) == pytest.approx([first, second])
    assert Ucb1().indices(arms) == pytest.approx(
        [0.7 + math.sqrt(2 * math.log(5) / 2), 0.7 + math.sqrt(2 * math.log(5) / 3)]
    )


def test_an_arm_that_rises_is_pulled_for_what_it_will_reach():
    """At the same feedback now, the arm that was lower before is expected to be higher at the horizon."""
    rule = ErUcbNonStationary(horizon=100)
    rising, level = np.linspace(0.2, 0.6, 10), np.full(10, 0.6)
    assert ranking(rule, [Arm(level), Arm(rising)])[0] == 1
    assert ranking(ErUcbStationary(), [Arm(level), Arm(rising)])[0] == 0


def test_an_arm_that_cannot_have_the_highest_mean_is_left():
    """At T pulls of each the radius is √(ln(80 T²) / T), so that 0.8 between means is seen at T = 84."""
    chosen = play(SuccessiveElimination(), [(0.9, 0.02), (0.1, 0.02)], 300)
    assert 60 < chosen.count(1) < 100
    assert 1 not in chosen[200:]


def test_only_what_is_above_the_median_counts():
    told = [np.array([3.0, 1.0, 2.5]), np.array([0.5, 2.0, 4.0])]
    indices = OVER_MEDIAN.indices([Arm(known) for known in told])
    scaled = [np.maximum(known - 2.25, 0) / 1.75 for known in told]
    assert indices == pytest.approx(ErUcbStationary(beta=0.0, gamma=1.0).indices([Arm(known) for known in scaled]))
    worse = [np.array([3.0, -70.0, 2.5]), np.array([0.1, 2.0, 4.0])]
    assert OVER_MEDIAN.indices([Arm(known) for known in worse]) == pytest.approx(indices)


def test_failures_are_the_worst_feedback():
    failing, poor = np.full(4, -math.inf), np.full(4, 0.1)
    assert ranking(OVER_MEDIAN, [Arm(failing), Arm(poor)]) == [1, 0]


def test_the_unit_of_the_feedback_does_not_matter():
    told = [np.array([3.0, 1.0, 2.5]), np.array([0.5, 2.0, 4.0])]
    indices = OVER_MEDIAN.indices([Arm(known) for known in told])
    shifted = [1000 + 60 * known for known in told]
    assert OVER_MEDIAN.indices([Arm(known) for known in shifted]) == pytest.approx(indices)


@pytest.mark.parametrize("rule", RULES)
def test_the_same_feedback_gives_the_same_pulls(rule):
    assert play(rule, [HIGH_MEAN, HEAVY_TAIL], 60, seed=3) == play(rule, [HIGH_MEAN, HEAVY_TAIL], 60, seed=3)
