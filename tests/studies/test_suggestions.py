"""A suggested study is legal whatever the study before was made of."""

from collections.abc import Sequence
from typing import Any

import pytest

from model.errors import InvalidInput
from studies.formulas.comparisons.kinds import INHERITED, MULTIPLE_ROUNDS, Comparison
from studies.formulas.comparisons.supply import more_methods
from studies.formulas.formula import Formula
from studies.formulas.observations import Observation
from studies.records import TrialState
from studies.service import prepare_spec
from studies.specs.parsing import parse_spec
from studies.suggestions import left_open, suggested_spec

BASE: dict[str, Any] = {
    "version": 1,
    "name": "before",
    "space": {
        "depth": {"type": "categorical", "choices": [2, 4]},
        "width": {"type": "int", "low": 64, "high": 256, "step": 64},
        "vocabulary_size": {"type": "int", "low": 512, "high": 1024},
    },
    "inner": {"learning_rate": [1e-3, 2e-3]},
    "constraints": {"non_embedding_parameters": {"high": 10**7}},
    "proxy": {"corpus": {"kind": "builtin"}, "train_bytes": 1_000_000},
    "max_trial_count": 8,
}
BUDGETED = {
    **BASE,
    "space": {name: said for name, said in BASE["space"].items() if name != "width"},
    "constraints": {"total_parameters": {"target": 1_000_000, "solve_for": "width"}},
}


def formula(supply: dict[str, Any]) -> Formula:
    return Formula(
        id="1-depth_width-r1",
        revision=1,
        kind="depth_width",
        form="",
        statement="not determined",
        latex="y",
        studies=("1",),
        size_convention="total_parameters",
        observations=8,
        domain={},
        held_out_error=None,
        coefficients={},
        verdict="undetermined",
        supply=supply,
        evidence={},
    )


@pytest.mark.parametrize("base", [BASE, BUDGETED])
@pytest.mark.parametrize(
    "supply",
    [
        {"space": {"depth": {"type": "int", "low": 2, "high": 16}}},
        {"space": {"vocabulary_size": {"type": "categorical", "choices": [512, 2048]}}},
        {"inner": {"batch_tokens": [1024, 2048, 4096]}, "max_trial_count": 12},
        {"space": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True}}},
        {"constraints": {"non_embedding_parameters": {"target": 500_000, "solve_for": "width"}}},
        {"constraints": {"total_parameters": {"target": 2_000_000, "solve_for": "width"}}},
    ],
)
def test_what_is_supplied_stands_for_the_whole_of_what_was(base: dict[str, Any], supply: dict[str, Any]) -> None:
    spec = parse_spec(suggested_spec(base, formula(supply), None))
    for part in ("space", "inner"):
        given: Sequence[str] = supply.get(part, {})
        assert set(given) <= getattr(spec, part).keys()
    if "constraints" in supply:
        assert "width" not in spec.space
    assert spec.purpose == "estimate"


def wanted(comparison: Comparison, base: dict[str, Any] = BASE) -> dict[str, Any]:
    """What is suggested where a comparison has tried none of its methods."""
    return suggested_spec(base, formula(more_methods([], comparison)), None)


def test_the_suggested_rounds_are_the_papers_and_leave_their_conditions() -> None:
    space = {
        **BASE["space"],
        "rounds": {"type": "categorical", "choices": [1, 2]},
        "sampling_rate": {"type": "categorical", "choices": [0.25, 0.5]},
        "round_selection": {"type": "categorical", "choices": ["loss", "uniform"]},
    }
    conditions = {"sampling_rate": {"rounds": [2]}, "round_selection": {"rounds": [2], "depth": [2]}}
    spec = wanted(MULTIPLE_ROUNDS, {**BASE, "space": space, "conditions": conditions})
    assert (spec["inner"]["rounds"], spec["inner"]["sampling_rate"]) == ([1, 2, 3], [0.5])
    assert spec["conditions"] == {"round_selection": {"depth": [2]}}


def test_the_suggested_rounds_choose_their_batches_as_the_papers_do() -> None:
    """Else the few trials asked for would be spread over other ways to choose."""
    space = {**BASE["space"], "round_selection": {"type": "categorical", "choices": ["uniform", "loss"]}}
    tried = [Observation(0, TrialState.COMPLETE, {"rounds": 2, "round_selection": "uniform"}, {}, {"parts": 8})]
    base = {**BASE, "space": space, "proxy": {**BASE["proxy"], "rounds": 2}}
    spec = suggested_spec(base, formula(more_methods(tried, MULTIPLE_ROUNDS)), None)
    assert spec["inner"]["round_selection"] == ["loss"]
    assert "round_selection" not in spec["space"]
    assert "parts" not in spec["inner"]


def test_the_suggested_inheritance_is_from_the_studys_parent() -> None:
    parent = {"kind": "trial", "study": 3, "trial": 7}
    spec = wanted(INHERITED, {**BASE, "inherit": {"parent": parent}})
    assert spec["inner"]["inherit_method"] == ["none", "random", "l1", "l2", "taylor", "learned_mask"]
    assert spec["inherit"]["parent"] == parent
    assert left_open(spec) == []


def test_a_suggestion_says_that_it_names_no_parent() -> None:
    spec = wanted(INHERITED)
    (said,) = left_open(spec)
    assert "PARENT in inherit.parent" in said
    with pytest.raises(InvalidInput, match=r"inherit.parent.path: 'PARENT' is no file or folder"):
        prepare_spec(spec, [])
