"""A plan: sizes within the budget, rivals of equal size and tokens, and trials that are what the candidates say."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model.config import ArchitectureConfig
from model.counts import count_parameters, training_flops_per_token
from model.errors import InvalidInput
from search.given import given_point
from search.laws import STEP_LAW
from search.proxy import proxy_config
from studies.recipe import Target, recipe_for_target
from studies.recipe.models import KnownModel, Models
from studies.records import TrialState
from studies.spec import StudySpec, build_space
from studies.validation.plan import Evidence, plan_validation
from studies.validation.request import RungPlan, ValidationRequest
from tests.studies.validation.planted import planted_trials, study_spec
from trainer.config import ProxyConfig
from trainer.plan import plan_run

SIZES = (1_000_000, 2_000_000, 4_000_000)
NAMES = ["recipe", "default", "step_law", "half_rate", "double_rate"]


def trained(spec: StudySpec) -> list[ProxyConfig]:
    """The config of each point's first seed, as a driver makes it."""
    space = build_space(spec)
    points = [given_point(space, values, "start.points") for values in spec.start.points]
    trials = [space.trial(point.values, 0) for point in points]
    return [proxy_config(spec.trial_settings, trial.values, trial.attributes, threads=1) for trial in trials]


def test_every_size_trains_the_recipe_and_four_rivals(evidence: Evidence) -> None:
    planned = plan_validation(evidence, ValidationRequest(sizes=SIZES))
    assert [len(spec.start.points) for spec in planned.specs] == [5, 5, 5]
    assert planned.plan.runs == sum(spec.max_trial_count for spec in planned.specs) == 45
    for rung, size in zip(planned.plan.rungs, SIZES, strict=True):
        assert [candidate.name for candidate in rung.candidates] == NAMES
        assert rung.total_parameters == pytest.approx(size, rel=0.03)
        assert rung.tokens == pytest.approx(20 * size, rel=0.01)
        assert rung.held == ()


@settings(max_examples=4, deadline=None)
@given(
    st.integers(300_000, 80_000_000),
    st.sampled_from([64, 256]),
    st.sampled_from([{}, {"qk_norm": True, "tied_head": False}, {"init_scheme": "mup"}, {"schedule": "wsd"}]),
)
@example(45_317_665, 64, {})
def test_trials_are_what_the_candidates_say(size: int, sequence_length: int, settings_: dict[str, Any]) -> None:
    """Whatever the size: point 0 is the recipe, all have its parameters and tokens, and their runs can be planned."""
    spec = study_spec(sequence_length=sequence_length, **settings_)
    evidence = Evidence(spec, planted_trials(spec), (), None, 0)
    planned = plan_validation(evidence, ValidationRequest(sizes=(size, 2 * size, 4 * size), tokens_per_parameter=2))
    for rung, rung_spec, of in zip(planned.plan.rungs, planned.specs, (1, 2, 4), strict=True):
        configs = trained(rung_spec)
        target = Target(total_parameters=size * of, tokens=2 * size * of)
        recipe = recipe_for_target(spec, evidence.trials, (), target).config
        assert configs[0].architecture == recipe.architecture
        assert configs[0].initialization == recipe.initialization
        assert configs[0].optimization.learning_rate == recipe.optimization.learning_rate
        assert configs[0].optimization.batch_tokens == recipe.optimization.batch_tokens
        assert plan_run(configs[0], 1.0).warmup_steps == plan_run(recipe, 1.0).warmup_steps
        assert rung.held == ()
        for candidate in rung.candidates:
            _check_candidate(candidate.point, rung, configs, sequence_length)


def test_parent_rounds_and_teacher_of_the_recipe_are_the_trials_too() -> None:
    """What stands for a recipe's start and rounds; a rival that searched nothing has neither, and a size too large for
    the parent is named.
    """
    model = {"kind": "trial", "study": 7, "trial": 3}
    sections = {"inherit": {"parent": model, "neurons": "l2", "calibration_bytes": 4000}, "teacher": {"model": model}}
    proxy = study_spec(rounds=2, sampling_rate=0.25, keep_weights=True)
    spec = StudySpec.model_validate({**proxy.model_dump(mode="json", exclude_unset=True), **sections})
    fields = {"vocabulary_size": 512, "depth": 8, "width": 256, "ffn_width": 1024, "head_dim": 32, "kv_heads": 8}
    parent = KnownModel("/weights/abc", "study 7, trial 3", ArchitectureConfig(**fields, sequence_length=128))
    evidence = Evidence(spec, planted_trials(proxy), (), None, 0, Models(parent, parent))
    plain = Evidence(proxy, planted_trials(proxy), (), None, 0)
    request = ValidationRequest(sizes=SIZES)
    planned, without = (plan_validation(each, request).plan for each in (evidence, plain))
    specs = plan_validation(evidence, request).specs
    runs = dict(zip(NAMES, trained(specs[0]), strict=True))
    assert runs["recipe"].inheritance is not None
    assert (runs["recipe"].inheritance.neurons, runs["recipe"].inheritance.calibration_bytes) == ("l2", 4000)
    assert runs["step_law"].inheritance == runs["half_rate"].inheritance == runs["recipe"].inheritance
    assert runs["default"].inheritance is None
    assert [runs[name].multiple_rounds.rounds for name in ("recipe", "default", "double_rate")] == [2, 1, 2]
    assert runs["recipe"].multiple_rounds.sampling_rate == 0.25
    assert {run.distillation is None for run in runs.values()} == {False}
    assert not specs[0].proxy.keep_weights
    assert planned.rungs[0].held == ()
    assert planned.rungs[0].train_flops > without.rungs[0].train_flops
    assert trained(specs[2])[0].inheritance is None
    assert [line for line in planned.rungs[2].held if line.startswith("inheritance: none, for recipe and rivals")]


def _check_candidate(point: int, rung: RungPlan, configs: list[ProxyConfig], sequence_length: int) -> None:
    config = configs[point]
    said = next(candidate for candidate in rung.candidates if candidate.point == point)
    assert (config.architecture.depth, config.architecture.width) == (said.depth, said.width)
    assert config.architecture.ffn_width == said.ffn_width
    assert config.optimization.batch_tokens % sequence_length == 0
    assert count_parameters(config.architecture).total == pytest.approx(rung.total_parameters, rel=0.03)
    assert config.architecture.vocabulary_size == configs[0].architecture.vocabulary_size
    assert config.length == configs[0].length
    assert plan_run(config, 1.0).steps >= 2


def test_rivals_are_the_recipe_at_other_rates_and_step_laws_rate_and_batch(evidence: Evidence) -> None:
    planned = plan_validation(evidence, ValidationRequest(sizes=SIZES))
    recipe, default, law, half, double = trained(planned.specs[1])
    rate = recipe.optimization.learning_rate
    assert (half.optimization.learning_rate, double.optimization.learning_rate) == (rate / 2, 2 * rate)
    assert half.architecture == double.architecture == law.architecture == recipe.architecture
    size, tokens = count_parameters(law.architecture).non_embedding, planned.plan.rungs[1].tokens
    batch = law.optimization.batch_tokens
    assert batch == pytest.approx(STEP_LAW.best_batch(size, tokens), abs=64)
    assert law.optimization.learning_rate == pytest.approx(STEP_LAW.best_rate(size, tokens, batch), rel=1e-3)
    assert (default.optimization.learning_rate, default.optimization.batch_tokens) == (3e-3, 4096)


def test_under_mup_published_rivals_are_of_the_standard_parametrisation() -> None:
    spec = study_spec(init_scheme="mup")
    planned = plan_validation(Evidence(spec, planted_trials(spec), (), None, 0), ValidationRequest(sizes=SIZES))
    kinds = [config.architecture.parametrisation for config in trained(planned.specs[0])]
    assert kinds == ["mup", "standard", "standard", "mup", "mup"]


def test_the_cost_is_that_of_the_trained_steps(evidence: Evidence) -> None:
    planned = plan_validation(evidence, ValidationRequest(sizes=SIZES, seeds=4))
    for rung, spec in zip(planned.plan.rungs, planned.specs, strict=True):
        flops = sum(
            plan_run(config, 1.0).steps
            * config.optimization.batch_tokens
            * training_flops_per_token(config.architecture)
            for config in trained(spec)
        )
        assert rung.train_flops == pytest.approx(4 * flops)
    assert planned.plan.device_seconds == pytest.approx(planned.plan.train_flops / 1e12)


def test_a_rival_that_is_the_recipe_is_not_trained_twice() -> None:
    """The recipe of this study has the default's rate and batch, and at its size the default's shape."""
    spec = study_spec(batch_tokens=4096)
    spec = spec.model_copy(update={"inner": {"learning_rate": (3e-3, 4e-3, 8e-3)}})
    evidence = Evidence(spec, planted_trials(spec, best=3), (), None, 0)
    planned = plan_validation(evidence, ValidationRequest(sizes=(2_000_000, 4_000_000, 8_000_000)))
    assert [candidate.point for candidate in planned.plan.rungs[0].candidates] == [0, 0, 1, 2, 3]
    assert any("default config is the recipe itself" in warning for warning in planned.plan.warnings)


def test_seeds_are_fresh_in_each_validation(evidence: Evidence) -> None:
    first = plan_validation(evidence, ValidationRequest(sizes=SIZES)).plan.rungs[0].seeds
    second = plan_validation(replace(evidence, earlier=1), ValidationRequest(sizes=SIZES)).plan.rungs[0].seeds
    assert len(first) == 3
    assert not set(first) & set(second)


def test_sizes_double_up_to_the_target_where_the_budget_allows(evidence: Evidence) -> None:
    request = ValidationRequest(total_parameters=4_000_000, tokens=80_000_000, max_train_flops=1e20)
    rungs = plan_validation(evidence, request).plan.rungs
    assert [rung.total_parameters for rung in rungs] == pytest.approx([1e6, 2e6, 4e6], rel=0.03)


@pytest.mark.parametrize("cap", [3e15, 1e16, 1e17])
def test_the_budget_caps_the_sizes(evidence: Evidence, cap: float) -> None:
    request = ValidationRequest(total_parameters=10**9, tokens=20 * 10**9, max_train_flops=cap)
    plan = plan_validation(evidence, request).plan
    assert 0.7 * cap < plan.train_flops <= cap
    assert plan.tokens_per_parameter == 20


def test_without_a_budget_it_is_what_the_study_spent(evidence: Evidence) -> None:
    plan = plan_validation(evidence, ValidationRequest()).plan
    assert plan.study_flops == pytest.approx(9 * 2e14)
    assert plan.train_flops <= 9 * 2e14
    assert plan.margin == 0.01
    assert any("nothing beyond them is tested" in warning for warning in plan.warnings)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"sizes": (1_000_000, 2_000_000, 4_000_000), "max_train_flops": 1e12}, "max_train_flops"),
        ({"sizes": (100, 2_000_000, 4_000_000)}, "sizes.0"),
        ({"sizes": (1_000_000, 1_000_001, 4_000_000)}, "sizes"),
        ({"sizes": (1_000_000, 2_000_000, 4_000_000), "tokens_per_parameter": 1e-5}, "tokens_per_parameter"),
        ({"max_train_flops": 1e6}, "max_train_flops"),
        ({"total_parameters": 10**6}, "tokens"),
        ({"tokens": 10**6}, "total_parameters"),
    ],
)
def test_what_cannot_be_trained_is_refused(evidence: Evidence, request_: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        plan_validation(evidence, ValidationRequest(**request_))
    assert refusal.value.field == field
    assert refusal.value.remedy


@pytest.mark.parametrize(
    "request_",
    [
        {"sizes": (1, 2)},
        {"sizes": (3, 2, 1)},
        {"sizes": (1, 1, 2)},
        {"seeds": 2},
        {"margin": 0},
        {"max_train_flops": -1},
        {"colour": "red"},
    ],
)
def test_requests_that_say_nothing_usable(request_: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        ValidationRequest(**request_)


def test_a_study_without_a_result_has_nothing_to_validate(evidence: Evidence) -> None:
    failed = [replace(trial, state=TrialState.FAIL) for trial in evidence.trials]
    with pytest.raises(InvalidInput, match="no complete trial with bits_per_byte"):
        plan_validation(replace(evidence, trials=failed), ValidationRequest(sizes=SIZES))


def test_a_study_that_does_not_say_its_lengths_needs_them(evidence: Evidence) -> None:
    silent = [replace(trial, metrics={"bits_per_byte": 2.0}) for trial in evidence.trials]
    with pytest.raises(InvalidInput, match="tokens_per_parameter"):
        plan_validation(replace(evidence, trials=silent), ValidationRequest(sizes=SIZES))
    asked = ValidationRequest(sizes=SIZES, tokens_per_parameter=20)
    assert plan_validation(replace(evidence, trials=silent), asked).plan.study_flops is None
