"""Samplers that have another one below them: what they need of a study, and what is kept of their settings."""

import pytest

from model.errors import InvalidInput
from studies.spec import stored_spec
from studies.specs.parsing import parse_spec


def spec(sampler, constraints=None, **space):
    return parse_spec(
        {
            "name": "composed",
            "purpose": "optimise",
            "space": {
                "depth": {"type": "int", "low": 2, "high": 8},
                "learning_rate": {"type": "float", "low": 1e-3, "high": 1e-2, "log": True},
                **space,
            },
            "constraints": {"total_parameters": {"target": 1_000_000}} if constraints is None else constraints,
            "sampler": sampler,
            "proxy": {"train_bytes": 1e6},
            "max_trial_count": 501,
        }
    )


def test_defaults_are_written_down_and_stored():
    cascade = spec({"kind": "cascade", "family": "depth"})
    assert (cascade.sampler.below, cascade.sampler.first) == ("bowl", None)
    zero_cost = spec({"kind": "zero_cost", "below": "random"})
    assert (zero_cost.sampler.below, zero_cost.sampler.first) == ("random", 8)
    for made in (cascade, zero_cost):
        assert stored_spec(made.model_dump(mode="json")) == made


def test_an_unordered_parameter_may_be_the_family_above_a_sampler_that_needs_order():
    schemes = {"type": "categorical", "choices": ["constant", "gpt2", "internlm"]}
    assert spec({"kind": "cascade", "family": "init_scheme", "below": "cmaes"}, init_scheme=schemes)


def test_a_family_of_several_parameters_is_read():
    vocabularies = {"type": "categorical", "choices": [512, 1024]}
    made = spec({"kind": "cascade", "family": ["depth", "vocabulary_size"]}, vocabulary_size=vocabularies)
    assert made.sampler.family == ("depth", "vocabulary_size")


@pytest.mark.parametrize(
    ("sampler", "constraints", "field", "said"),
    [
        ({"kind": "cascade", "family": "width"}, None, "sampler.family", "not in the space; use one of depth"),
        ({"kind": "cascade", "family": "learning_rate"}, None, "sampler.family", "give it a step or choices"),
        ({"kind": "cascade", "family": "depth", "below": "grid"}, None, "space.learning_rate", "a grid is finite"),
        ({"kind": "zero_cost"}, {}, "sampler.kind", "a target or a high"),
        ({"kind": "zero_cost"}, {"total_parameters": {"low": 1000}}, "sampler.kind", "a target or a high"),
        ({"kind": "cascade", "family": "depth", "below": "cmaes"}, None, "space.init_scheme.choices", "have none"),
        ({"kind": "zero_cost", "below": "gp"}, None, "sampler.below", "too many"),
        ({"kind": "zero_cost", "below": "grid"}, None, "space.learning_rate", "a grid is finite"),
    ],
)
def test_what_they_cannot_search_is_refused(sampler, constraints, field, said):
    schemes = {"type": "categorical", "choices": ["constant", "gpt2", "internlm"]}
    with pytest.raises(InvalidInput) as refused:
        spec(sampler, constraints, init_scheme=schemes)
    assert refused.value.field == field
    assert said in str(refused.value)
