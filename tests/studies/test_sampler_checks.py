"""What samplers and objectives are refused when a study is posted, by the table of methods."""

import pytest

from model.errors import InvalidInput
from search.samplers.methods import METHODS
from studies.specs.parsing import parse_spec

OBJECTIVES = [
    {"metric": "bits_per_byte"},
    {"metric": "decode_tokens_per_second", "direction": "maximize"},
    {"metric": "embedding_share"},
    {"metric": "total_parameters"},
]


FURTHER = {"cascade": {"family": "depth"}}
"""What a kind needs beside its name."""


def document(kind="random", **changes):
    depth = {"depth": {"type": "int", "low": 1, "high": 4}} if kind in ("cascade", "zero_cost") else {}
    size = {"total_parameters": {"high": 10_000_000}} if kind == "zero_cost" else {}
    return {
        "name": "a study",
        "purpose": "optimise",
        "space": {"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1, "log": True}, **depth},
        "constraints": size,
        "sampler": {"kind": kind, **FURTHER.get(kind, {})},
        "proxy": {"train_bytes": 100_000},
        "max_trial_count": 60,
        **changes,
    }


def refusal(**changes):
    with pytest.raises(InvalidInput) as caught:
        parse_spec(document(**changes))
    return caught.value


@pytest.mark.parametrize("kind", [kind for kind in METHODS if kind != "grid"])
def test_every_sampler_takes_what_its_row_says(kind):
    method = METHODS[kind]
    for count in range(1, method.max_objectives + 1):
        assert parse_spec(document(kind, objectives=OBJECTIVES[:count])).sampler.kind == kind
    if not method.adaptive:
        assert parse_spec(document(kind, purpose="estimate"))
    else:
        error = refusal(kind=kind, purpose="estimate")
        assert (error.field, error.remedy) == ("sampler.kind", "use random, grid or qmc, or set purpose: optimise")
        assert error.reason.startswith(f"{kind} chooses by outcome")
    if method.max_objectives == 1:
        error = refusal(kind=kind, objectives=OBJECTIVES[:2])
        assert error.field == "sampler.kind"
        assert "takes one objective, and the study has 2" in error.reason
        assert "nsga2" in error.remedy


def test_objectives_are_at_most_three_different_ones_each_in_its_direction():
    assert refusal(objectives=OBJECTIVES).field == "objectives"
    twice = refusal(objectives=[OBJECTIVES[0], OBJECTIVES[0]])
    assert (twice.field, twice.reason) == ("objectives.1.metric", "bits_per_byte is an objective already")
    wrong = refusal(objectives=[OBJECTIVES[0], {"metric": "decode_tokens_per_second"}])
    assert (wrong.field, wrong.remedy) == ("objectives.1.direction", "write maximize")


def test_schedulers_compare_one_objective():
    error = refusal(objectives=OBJECTIVES[:2], scheduler={"kind": "asha"})
    assert error.field == "scheduler.kind"
    assert "the study has 2" in error.reason


@pytest.mark.parametrize(
    "choices", [[512, 1024, 2048], [2048, 1024, 512], [512, 2048], [512]], ids=["rising", "falling", "two", "one"]
)
def test_cmaes_takes_choices_in_order(choices):
    space = {"vocabulary_size": {"type": "categorical", "choices": choices}}
    assert parse_spec(document("cmaes", space=space))


def test_cmaes_refuses_choices_without_an_order():
    space = {"vocabulary_size": {"type": "categorical", "choices": [512, 2048, 1024]}}
    error = refusal(kind="cmaes", space=space)
    assert error.field == "space.vocabulary_size.choices"
    assert "these choices have none" in error.reason
    names = {"init_scheme": {"type": "categorical", "choices": ["constant", "gpt2", "internlm"]}}
    assert refusal(kind="cmaes", space=names).field == "space.init_scheme.choices"
    assert parse_spec(
        document("cmaes", space={"init_scheme": {"type": "categorical", "choices": ["constant", "gpt2"]}})
    )


def test_a_gaussian_process_takes_as_many_outer_points_as_its_row_says():
    most = METHODS["gp"].max_points
    assert parse_spec(document("gp", max_trial_count=most))
    assert parse_spec(document("gp", inner={"seed": [0, 1]}, max_trial_count=2 * most))
    error = refusal(kind="gp", max_trial_count=most + 1)
    assert error.field == "sampler.kind"
    assert f"a max_trial_count of at most {most}" in error.remedy


def test_a_stack_has_no_speed_of_its_trials_as_any_objective():
    speed = [OBJECTIVES[0], {"metric": "train_tokens_per_second", "direction": "maximize"}]
    error = refusal(objectives=speed, inner={"seed": [0, 1]}, resources_per_trial={"stack": 2})
    assert error.field == "resources_per_trial.stack"
