"""Fronts, knees and hypervolumes, against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from search.pareto import as_costs, growing_hypervolume, hypervolume, is_on_front, knee, reference_box

POINTS = st.integers(1, 3).flatmap(
    lambda objectives: arrays(
        float, st.tuples(st.integers(1, 25), st.just(objectives)), elements=st.integers(-6, 6).map(float)
    )
)
"""Few values, so that points tie and coincide."""


def dominates(one, other):
    return all(one <= other) and any(one < other)


@given(POINTS)
def test_the_front_is_what_no_point_dominates(costs):
    expected = [not any(dominates(other, point) for other in costs) for point in costs]
    assert is_on_front(costs).tolist() == expected


def test_no_points_have_no_front():
    assert is_on_front(np.empty((0, 2))).tolist() == []


def test_a_large_front_takes_no_square_of_its_points():
    generator = np.random.default_rng(0)
    costs = generator.random((100_000, 3))
    assert 0 < is_on_front(costs).sum() < 1000


@settings(max_examples=60)
@given(POINTS, st.integers(0, 2**32 - 1))
def test_the_hypervolume_is_the_share_of_random_points_that_are_dominated(costs, seed):
    reference = np.full(costs.shape[1], 5.0)
    low = np.full(costs.shape[1], -7.0)
    drawn = np.random.default_rng(seed).uniform(low, reference, (4000, costs.shape[1]))
    dominated = (costs[None] <= drawn[:, None]).all(axis=2).any(axis=1).mean()
    share = hypervolume(costs, reference) / np.prod(reference - low)
    assert share == pytest.approx(dominated, abs=5 * np.sqrt(0.25 / 4000))


def test_hypervolumes_that_are_known():
    assert hypervolume(np.array([[2.0]]), np.array([5.0])) == 3
    assert hypervolume(np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 2.0]]), np.array([2.0, 2.0])) == 3
    assert hypervolume(np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=float), np.full(3, 2.0)) == 7
    assert hypervolume(np.array([[3.0, 0.0]]), np.array([2.0, 2.0])) == 0
    with pytest.raises(ValueError, match="4 objectives"):
        hypervolume(np.zeros((1, 4)), np.ones(4))


@given(POINTS)
def test_what_each_point_adds_gives_the_hypervolume_so_far(costs):
    reference = np.full(costs.shape[1], 4.0)
    whole = [hypervolume(costs[: count + 1], reference) for count in range(len(costs))]
    assert list(growing_hypervolume(costs, reference)) == pytest.approx(whole)


def test_a_hypervolume_grows_over_blocks():
    costs = np.random.default_rng(1).random((1200, 3))
    grown = list(growing_hypervolume(costs, np.ones(3)))
    assert grown == sorted(grown)
    assert grown[-1] == pytest.approx(hypervolume(costs, np.ones(3)))


@given(POINTS)
def test_the_whole_front_counts_in_the_hypervolume(costs):
    ideal, reference = reference_box(costs)
    front = costs[is_on_front(costs)]
    assert (front < reference).all()
    assert (ideal <= front).all()


def test_the_reference_does_not_move_with_points_that_are_far_from_the_front():
    ends = np.array([[0.0, 1.0], [1.0, 0.0]])
    for costs in (ends, np.vstack([ends, [50.0, 50.0]])):
        assert np.concatenate(reference_box(costs)) == pytest.approx([0, 0, 1.1, 1.1])
    assert np.concatenate(reference_box(np.array([[0.0, 2.0], [1.0, 3.0]]))) == pytest.approx([0, 2, 1.1, 3.1])
    assert np.concatenate(reference_box(np.array([[0.0, 2.0]]))) == pytest.approx([0, 2, 1.1, 3.1])


def test_the_knee_is_where_the_front_bends():
    bend = np.array([[0.0, 10.0], [0.1, 2.0], [0.5, 1.0], [1.0, 0.0]])
    assert knee(bend) == 1
    assert knee(bend * [1000, 0.001] + [5, -3]) == 1, "units do not matter"
    assert knee(np.array([[0.0, 1.0], [0.9, 0.9], [1.0, 0.0]])) == 0, "a front that bulges has none but its ends"
    assert knee(np.array([[1.0, 0.0], [0.0, 1.0]])) == 1, "a tie: the better one by the first objective"
    assert knee(np.array([[3.0, 4.0]])) == 0
    assert knee(np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0], [0.2, 0.2, 0.2]])) == 3


@given(POINTS)
def test_the_knee_of_two_objectives_is_furthest_from_the_line_between_the_ends(costs):
    front = costs[is_on_front(costs)]
    if costs.shape[1] != 2 or len(np.unique(front, axis=0)) < 2:
        return
    scaled = (front - front.min(axis=0)) / (front.max(axis=0) - front.min(axis=0))
    distances = (1 - scaled.sum(axis=1)) / np.sqrt(2)
    assert distances[knee(front)] == pytest.approx(distances.max())


def test_costs_are_to_be_minimised():
    assert as_costs([(1.0, 2.0)], ["minimize", "maximize"]).tolist() == [[1.0, -2.0]]
