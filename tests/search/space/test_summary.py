"""A space in numbers: counts, what follows from the declared parameters, and examples."""

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
