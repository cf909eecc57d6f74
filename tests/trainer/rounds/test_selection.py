import math
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from trainer.rounds.config import RoundSelection
from trainer.rounds.plan import RoundPlan
from trainer.rounds.selection import select_round

SELECTIONS: tuple[RoundSelection, ...] = ("loss", "uniform", "top_loss")
DRAWS = 4000


@st.composite
def plans(draw: st.DrawFn) -> RoundPlan:
    first = draw(st.integers(1, 60))
    return RoundPlan(draw(st.integers(2, 4)), draw(st.integers(1, first)), first, draw(st.integers(1, first)))


@given(plans(), st.sampled_from(SELECTIONS), st.integers(0, 2**63 - 1), st.data())
def test_each_part_gives_its_share_without_replacement(
    plan: RoundPlan, selection: RoundSelection, seed: int, data: st.DataObject
) -> None:
    losses = np.array(
        data.draw(st.lists(st.floats(0, 20), min_size=plan.first_steps, max_size=plan.first_steps)), dtype=np.float32
    )
    order = select_round(losses, plan, selection, seed, 2)
    assert order.size == plan.later_steps == sum(plan.taken)
    assert len(set(order.tolist())) == order.size
    parts = np.searchsorted(plan.part_bounds, order, side="right") - 1
    assert np.bincount(parts, minlength=plan.parts).tolist() == list(plan.taken)
    assert (np.diff(parts) >= 0).all()
    assert np.array_equal(order, select_round(losses, plan, selection, seed, 2))


@given(plans(), st.sampled_from(SELECTIONS), st.integers(0, 1000), st.integers(-500, 500))
def test_a_constant_added_to_all_losses_changes_nothing(
    plan: RoundPlan, selection: RoundSelection, seed: int, constant: int
) -> None:
    losses = np.random.default_rng(seed).integers(0, 64, plan.first_steps) / 8.0  # sums below are exact
    found = [select_round(each, plan, selection, seed, 2) for each in (losses, losses + constant)]
    assert np.array_equal(*found)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 700.0, 1e30])
def test_losses_of_any_size_are_safe(scale: float) -> None:
    plan = RoundPlan(2, 2, 40, 20)
    losses = np.linspace(0, scale, 40, dtype=np.float32)
    assert np.isfinite(losses).all()
    order = select_round(losses, plan, "loss", 0, 2).tolist()
    chosen = set(order)
    assert len(order) == len(chosen) == 20
    assert chosen <= set(range(40))
    if scale >= 700:  # e^700 is no float32, and all but certain
        assert chosen == {*range(10, 20), *range(30, 40)}


def inclusion(losses: list[float], count: int) -> list[float]:
    """Exact probability that each is among ``count`` draws without replacement with p ∝ exp(loss) of those left."""
    weights = [math.exp(loss) for loss in losses]
    included = [0.0] * len(losses)
    for drawn in permutations(range(len(losses)), count):
        left, probability = sum(weights), 1.0
        for each in drawn:
            probability *= weights[each] / left
            left -= weights[each]
        for each in drawn:
            included[each] += probability
    return included


def test_the_draws_are_those_of_p_proportional_to_exp_loss() -> None:
    losses, count = [0.0, 0.3, 1.0, 1.5, 2.5], 2
    plan = RoundPlan(2, 1, len(losses), count)
    drawn = [select_round(np.array(losses), plan, "loss", seed, 2) for seed in range(DRAWS)]
    pairs = sorted({tuple(sorted(pair)) for pair in permutations(range(len(losses)), count)})
    weights = np.exp(losses)
    p = weights / weights.sum()
    expected = [p[a] * p[b] / (1 - p[a]) + p[b] * p[a] / (1 - p[b]) for a, b in pairs]
    found = [sum(tuple(sorted(order.tolist())) == pair for order in drawn) for pair in pairs]
    assert sum(expected) == pytest.approx(1)
    assert chisquare(found, np.array(expected) * DRAWS).pvalue > 1e-3
    frequencies = np.bincount(np.concatenate(drawn), minlength=len(losses)) / DRAWS
    assert frequencies == pytest.approx(inclusion(losses, count), abs=0.03)


def test_all_batches_have_an_equal_chance_under_uniform() -> None:
    plan = RoundPlan(2, 2, 12, 6)
    losses = np.linspace(0, 9, 12)
    drawn = np.concatenate([select_round(losses, plan, "uniform", seed, 2) for seed in range(DRAWS // 4)])
    assert chisquare(np.bincount(drawn, minlength=12)).pvalue > 1e-3


def test_top_loss_takes_the_highest_of_each_part() -> None:
    losses = np.array([1, 5, 3, 4, 9, 8, 7, 6], dtype=np.float32)
    assert sorted(select_round(losses, RoundPlan(2, 2, 8, 4), "top_loss", 0, 2).tolist()) == [1, 3, 4, 5]
    losses[4] = np.nan
    assert sorted(select_round(losses, RoundPlan(2, 2, 8, 4), "top_loss", 0, 2).tolist()) == [1, 3, 5, 6]


def test_rounds_and_seeds_draw_anew_and_the_order_is_shuffled() -> None:
    plan = RoundPlan(3, 4, 400, 200)
    losses = np.zeros(400, dtype=np.float32)
    orders = [select_round(losses, plan, "loss", seed, number) for seed, number in ((0, 2), (0, 3), (1, 2))]
    assert all(not np.array_equal(a, b) for a, b in pairwise([*orders, orders[0]]))
    whole = select_round(losses, RoundPlan(2, 1, 400, 400), "loss", 0, 2)
    assert sorted(whole.tolist()) == list(range(400))
    assert abs(np.corrcoef(whole, np.arange(400))[0, 1]) < 0.2
