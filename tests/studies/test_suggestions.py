"""A suggested study is legal whatever the study before was made of."""

from collections.abc import Sequence
from typing import Any

import pytest

from studies.formulas.formula import Formula
from studies.specs.parsing import parse_spec
from studies.suggestions import suggested_spec

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
