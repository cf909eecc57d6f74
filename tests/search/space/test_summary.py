"""A space in numbers: counts, what follows from the declared parameters, and examples."""

import math
from typing import Any

import pytest
from pydantic import TypeAdapter

from search.constraints import Constraints, TotalParameters
from search.parameters import Parameter
from search.space import Space
from search.space.summary import MAX_EXAMPLES, MAX_LOOKED_AT, summarize
from trainer.config import ProxySettings

PARAMETERS = TypeAdapter(dict[str, Parameter])
DEPTH = {"type": "int", "low": 2, "high": 5}
VOCABULARY = {"type": "categorical", "choices": [512, 1024]}
RATIO = {"type": "float", "low": 1.0, "high": 4.0}
RATE = {"type": "float", "low": 1e-4, "high": 1e-2, "log": True}


def space(parameters: dict[str, Any], target: int | None = None, inner: dict[str, Any] | None = None) -> Space:
    budget = None if target is None else TotalParameters(target=target)
    constraints = Constraints(total_parameters=budget)
    settings = ProxySettings(train_bytes=100_000)
    return Space.build(PARAMETERS.validate_python(parameters), inner or {}, constraints, settings)


def test_a_small_space_is_looked_at_whole() -> None:
    summary = summarize(space({"depth": DEPTH, "vocabulary_size": VOCABULARY}, inner={"seed": [0, 1, 2]}))
    assert (summary.points, summary.shapes, summary.inner_points, summary.looked_at) == (8, 8, 3, 8)
    assert len(summary.examples) == MAX_EXAMPLES
    assert len({tuple(point.values.items()) for point in summary.examples}) == MAX_EXAMPLES
    assert summary.solved["total_parameters"].low < summary.solved["total_parameters"].high


def test_a_budget_gives_the_range_of_the_solved_width() -> None:
    summary = summarize(space({"depth": DEPTH, "vocabulary_size": VOCABULARY}, target=500_000))
    width, total = summary.solved["width"], summary.solved["total_parameters"]
    assert width.low < width.high
    assert 485_000 <= total.low <= total.high <= 515_000
    for point in summary.examples:
        assert width.low <= float(point.values["width"]) <= width.high


def test_a_continuum_is_looked_at_evenly() -> None:
    summary = summarize(space({"depth": DEPTH, "learning_rate": RATE, "ffn_ratio": RATIO}, target=500_000))
    assert (summary.points, summary.shapes, summary.looked_at) == (None, 4, MAX_LOOKED_AT)
    asked = summary.solved["ffn_ratio_asked"]
    assert asked.low == pytest.approx(1.0, abs=0.05)
    assert asked.high == pytest.approx(4.0, abs=0.05)


def test_an_empty_space_has_one_point() -> None:
    summary = summarize(space({}, inner={"learning_rate": [1e-3, 2e-3]}))
    assert (summary.points, summary.shapes, summary.inner_points, len(summary.examples)) == (1, 1, 2, 1)
    assert summary.examples[0].values == {"learning_rate": 1e-3}


def test_values_that_no_point_holds_are_named() -> None:
    summary = summarize(space({"depth": {"type": "int", "low": 1, "high": 200}}, target=300_000))
    assert summary.points is not None
    assert summary.points + len(summary.excluded["depth"]) == 200


def test_what_each_constraint_leaves_out_is_its_share_of_what_was_left() -> None:
    """Of 8 depths, 2 are too deep; of the 6 others, 3 are too deep for the larger of two widths."""
    declared = {"depth": {"type": "int", "low": 1, "high": 8}, "width": {"type": "categorical", "choices": [64, 128]}}
    constraints = Constraints(expressions=("depth <= 6", "depth * width <= 384"))
    built = Space.build(PARAMETERS.validate_python(declared), {}, constraints, ProxySettings(train_bytes=100_000))
    first, second = summarize(built).exclusions
    assert (first.field, first.text, first.values) == ("constraints.expressions.0", "depth <= 6", {"depth": (7, 8)})
    assert first.share == pytest.approx(2 / 8)
    assert second.share == pytest.approx(3 / 12)
    assert second.values == {}
    assert summarize(built).points == 9
    assert (summarize(built).acceptance, summarize(built).acceptance_draws) == (1.0, 0)


def test_an_acceptance_is_estimated_and_only_accepted_points_are_shown() -> None:
    constraints = Constraints(expressions=("depth * learning_rate <= 4e-3",))
    declared = PARAMETERS.validate_python({"depth": DEPTH, "learning_rate": RATE})
    built = Space.build(declared, {}, constraints, ProxySettings(train_bytes=100_000))
    summary = summarize(built)
    exact = sum(math.log(4e-3 / depth / 1e-4) for depth in range(2, 6)) / 4 / math.log(100)
    assert summary.acceptance == pytest.approx(exact, abs=4 * (0.25 / summary.acceptance_draws) ** 0.5)
    (exclusion,) = summary.exclusions
    assert exclusion.share == pytest.approx(1 - summary.acceptance)
    assert summary.looked_at == MAX_LOOKED_AT
    for point in summary.examples:
        assert point.values["depth"] * point.values["learning_rate"] <= 4e-3


def test_a_rare_point_is_shown_too() -> None:
    constraints = Constraints(expressions=("learning_rate <= 1.002e-4",))
    declared = PARAMETERS.validate_python({"depth": DEPTH, "learning_rate": RATE, "weight_decay": RATE})
    built = Space.build(declared, {}, constraints, ProxySettings(train_bytes=100_000))
    assert summarize(built).examples[0].values["learning_rate"] <= 1.002e-4
