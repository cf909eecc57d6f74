"""A study tells, when it is created, what it will leave out."""

from typing import Any

import pytest

from studies.specs.parsing import parse_spec
from studies.specs.warnings import spec_warnings


def _warnings(document: dict[str, Any], **changes: Any) -> list[str]:
    return spec_warnings(parse_spec({**document, **changes}))


def test_a_spec_that_leaves_nothing_out(document: dict[str, Any]) -> None:
    assert _warnings(document) == []
    assert _warnings(document, sampler={"kind": "random"}, max_trial_count=600, allow_duplicates=True) == []


def test_a_space_that_is_tried_whole_ends_a_study_early(document: dict[str, Any]) -> None:
    (warning,) = _warnings(document, sampler={"kind": "random"}, max_trial_count=600)
    assert warning == "max_trial_count: the space has 6 trials, so that the study ends before 600"
    assert _warnings(document, sampler={"kind": "random"}, max_trial_count=12, seeds={"count": 2, "leaders": 3}) == []


@pytest.mark.parametrize(("count", "said"), [(8, "ends before 8"), (4, "of which 2 will not be run")])
def test_a_grid_of_another_size(document: dict[str, Any], count: int, said: str) -> None:
    (warning,) = _warnings(document, max_trial_count=count)
    assert warning.startswith("max_trial_count: the grid has 6 trials")
    assert said in warning


def test_a_last_point_that_is_trained_in_part(document: dict[str, Any]) -> None:
    (warning,) = _warnings(document, sampler={"kind": "qmc"}, max_trial_count=5)
    assert warning.startswith("max_trial_count: 5 is no multiple of the 2 inner points")
    assert warning.endswith("is trained at 1 of them; give 6")
    assert len(_warnings(document, max_trial_count=5)) == 2
    assert len(_warnings(document, max_trial_count=7)) == 1


def test_values_that_no_trial_can_have(document: dict[str, Any]) -> None:
    """Of 1 … 64 blocks, those with more parameters than the budget at any width are listed, the first few of them."""
    space = {"depth": {"type": "int", "low": 1, "high": 64}}
    budget = {"total_parameters": {"target": 300_000, "tolerance": 0.02}}
    document["proxy"]["vocabulary_size"] = 300
    changes: dict[str, Any] = {"space": space, "constraints": budget, "sampler": {"kind": "random"}}
    (warning,) = _warnings(document, **changes)
    assert warning.startswith("space.depth: ")
    assert " more fit no legal network" in warning


def test_a_space_that_is_mostly_outside_of_its_constraints(document: dict[str, Any]) -> None:
    space = {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1},
        "depth": {"type": "int", "low": 1, "high": 4},
    }
    changes: dict[str, Any] = {"space": space, "inner": {}, "sampler": {"kind": "random"}, "max_trial_count": 4}
    rare = {"expressions": ["learning_rate * depth <= 4e-4"]}
    (warning,) = _warnings(document, **changes, constraints=rare)
    assert warning.startswith("constraints: 0.")
    assert "of the points drawn from the space satisfy those over continuous parameters" in warning
    assert _warnings(document, **changes, constraints={"expressions": ["learning_rate * depth <= 4e-2"]}) == []


def test_bowl_under_asha_is_warned_of(document: dict[str, Any]) -> None:
    proxy = {**document["proxy"], "schedule": "wsd", "annealed_evaluations": True, "train_tokens": 100_000}
    chosen = {"purpose": "optimise", "proxy": proxy, "inner": {}, "scheduler": {"kind": "asha"}, "max_trial_count": 3}

    def said(kind: str) -> list[str]:
        return [line for line in _warnings(document, **chosen, sampler={"kind": kind}) if "bowl" in line]

    assert len(said("bowl")) == 1
    assert said("tpe") == []
