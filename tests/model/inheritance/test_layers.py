from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from model.inheritance.layers import LayerImportance, choose_layers, removal_cost

VALUES = st.floats(0, 10, allow_nan=False)


@st.composite
def tables(draw: st.DrawFn, smallest: int = 1, largest: int = 7) -> LayerImportance:
    depth = draw(st.integers(smallest, largest))
    rows = [tuple(draw(st.lists(VALUES, min_size=depth - n, max_size=depth - n))) for n in range(min(3, depth - 1))]
    return LayerImportance(bits_per_byte=draw(VALUES), skipped=tuple(rows))


def additive(costs: list[float]) -> LayerImportance:
    """A table in which every layer costs what it costs alone."""
    rows = tuple(
        tuple(1 + sum(costs[first : first + count]) for first in range(len(costs) - count + 1)) for count in (1, 2, 3)
    )
    return LayerImportance(bits_per_byte=1.0, skipped=rows)


@given(tables(), st.data())
@settings(max_examples=80, deadline=None)
def test_the_choice_is_the_cheapest_of_all_that_keep_the_ends(table: LayerImportance, data: st.DataObject) -> None:
    depth = data.draw(st.integers(1, table.depth))
    kept = choose_layers("importance", table, table.depth, depth)
    droppable = range(1, table.depth - 1) if depth > 1 else range(table.depth)
    least = min(removal_cost(table, dropped) for dropped in combinations(droppable, table.depth - depth))
    assert removal_cost(table, [layer for layer in range(table.depth) if layer not in kept]) == pytest.approx(least)
    assert depth == 1 or {0, table.depth - 1} <= set(kept)


@given(tables(smallest=2), st.data())
@settings(max_examples=50, deadline=None)
def test_a_run_that_was_measured_costs_what_was_measured(table: LayerImportance, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(table.skipped)))
    first = data.draw(st.integers(0, table.depth - count))
    run = range(first, first + count)
    assert removal_cost(table, run) == pytest.approx(table.skipped[count - 1][first] - table.bits_per_byte)


@given(st.lists(VALUES, min_size=4, max_size=9), st.data())
@settings(max_examples=50, deadline=None)
def test_where_layers_do_not_interact_the_cheapest_ones_go(costs: list[float], data: st.DataObject) -> None:
    depth = data.draw(st.integers(2, len(costs)))
    table = additive(costs)
    kept = choose_layers("importance", table, len(costs), depth)
    lost = sum(cost for layer, cost in enumerate(costs) if layer not in kept)
    assert lost == pytest.approx(sum(sorted(costs[1:-1])[: len(costs) - depth]), abs=1e-9)


def test_layers_that_replace_each_other_are_not_both_dropped() -> None:
    """2 and 3 cost little alone, because either does the other's work, and much together."""
    single = (2.0, 1.5, 1.1, 1.1, 1.3, 2.0)
    table = LayerImportance(
        bits_per_byte=1.0,
        skipped=(single, (2.5, 1.8, 3.0, 1.6, 2.3), (3.0, 3.5, 3.3, 2.6)),
    )
    assert choose_layers("importance", table, 6, 5) in ((0, 1, 3, 4, 5), (0, 1, 2, 4, 5))
    assert choose_layers("importance", table, 6, 4) == (0, 1, 3, 5)


def test_the_table_of_a_redundant_middle_keeps_the_ends() -> None:
    table = additive([3.0, 0.9, 0.4, 0.1, 0.1, 0.1, 0.2, 0.8, 2.0])
    assert choose_layers("importance", table, 9, 5) == (0, 1, 2, 7, 8)
    assert choose_layers("importance", table, 9, 2) == (0, 8)
    assert choose_layers("importance", table, 9, 1) == (0,)


def test_its_rivals() -> None:
    assert choose_layers("uniform", None, 12, 4) == (0, 3, 6, 9)
    assert choose_layers("uniform", None, 5, 3) == (0, 1, 3)
    assert choose_layers("first", None, 12, 4) == (0, 1, 2, 3)


@given(st.sampled_from(["uniform", "first"]), st.integers(1, 40), st.data())
def test_rivals_keep_as_many_as_asked(method: str, parent_depth: int, data: st.DataObject) -> None:
    depth = data.draw(st.integers(1, parent_depth))
    kept = choose_layers(method, None, parent_depth, depth)  # type: ignore[arg-type]
    assert sorted(set(kept)) == list(kept)
    assert len(kept) == depth
    assert kept[-1] < parent_depth


def test_a_deep_table_is_decided_at_once() -> None:
    table = additive([float(layer % 7) for layer in range(96)])
    assert len(choose_layers("importance", table, 96, 40)) == 40


@pytest.mark.parametrize(
    "skipped",
    [
        [],
        [[1, 2, 3]],
        [[1, 2], [1]],
        [[1, 2, 3], [1, 2, 3]],
        [[1, 2, 3], [1, float("nan")]],
        [[1] * 4, [1] * 3, [1], []],
    ],
)
def test_a_table_of_another_shape_is_refused(skipped: list[list[float]]) -> None:
    if not skipped:
        assert LayerImportance(bits_per_byte=1, skipped=()).depth == 1
        return
    with pytest.raises(ValidationError):
        LayerImportance.model_validate({"bits_per_byte": 1, "skipped": skipped})


def test_the_table_must_be_the_parents() -> None:
    with pytest.raises(ValueError, match="importance of 3 layers"):
        choose_layers("importance", additive([1, 2, 3, 4]), 3, 2)
    with pytest.raises(ValueError, match="importance of 3 layers"):
        choose_layers("importance", None, 3, 2)
