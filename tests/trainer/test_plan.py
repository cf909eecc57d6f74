from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from model.config import ArchitectureConfig
from model.counts import training_flops_per_token
from model.errors import InvalidInput
from trainer.config import InitializationConfig, LengthUnit, OptimizationConfig, ProxyConfig, TrainingLength
from trainer.plan import MAX_DEFAULT_WARMUP_STEPS, RunPlan, learning_rate, plan_run
from trainer.summary import recipe_attributes

ARCHITECTURE = ArchitectureConfig(vocabulary_size=512, depth=2, width=64, ffn_width=128, kv_heads=2, sequence_length=64)


def proxy(amount: float, unit: LengthUnit = "tokens", evaluations: int = 4, **optimization: float | int) -> ProxyConfig:
    return ProxyConfig(
        architecture=ARCHITECTURE,
        optimization=OptimizationConfig.model_validate({"batch_tokens": 1024, **optimization}),
        length=TrainingLength(unit=unit, amount=amount),
        evaluations=evaluations,
    )


def test_the_three_units_give_the_same_steps() -> None:
    tokens = 100 * 1024
    lengths: tuple[tuple[LengthUnit, float], ...] = (
        ("tokens", tokens),
        ("bytes", tokens * 2.5),
        ("flops", tokens * training_flops_per_token(ARCHITECTURE)),
    )
    for unit, amount in lengths:
        assert plan_run(proxy(amount, unit), bytes_per_token=2.5).steps == 100


def test_the_check_of_the_design_has_ten_steps_of_warmup() -> None:
    plan = plan_run(proxy(400_000, batch_tokens=4096), 1.0)
    assert (plan.steps, plan.warmup_steps) == (98, 10)
    assert plan.evaluation_steps == {24, 49, 74, 98}


def test_a_long_run_is_not_warmed_up_for_thousands_of_steps() -> None:
    assert plan_run(proxy(1e9), 1.0).warmup_steps == MAX_DEFAULT_WARMUP_STEPS
    assert plan_run(proxy(1e9, warmup_tokens=1024 * 5000), 1.0).warmup_steps == 5000


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (proxy(100_000, batch_tokens=1000), "batch_tokens"),
        (proxy(100_000, batch_tokens=32), "batch_tokens"),
        (proxy(1025), "train_tokens"),
        (proxy(1025, "bytes"), "train_bytes"),
        (proxy(1025, "flops"), "train_flops"),
        (proxy(10_240, warmup_tokens=10_240), "warmup_tokens"),
        (proxy(10_240, warmup_tokens=10**400), "warmup_tokens"),
    ],
)
def test_what_cannot_be_realised_is_named(config: ProxyConfig, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        plan_run(config, 1.0)
    assert caught.value.field == field


@given(st.integers(2, 5000), st.floats(0, 0.99), st.floats(0, 1), st.integers(1, 1000))
def test_the_rate_rises_to_the_peak_and_falls_to_the_final_rate(
    steps: int, warmup_ratio: float, final_ratio: float, evaluations: int
) -> None:
    config = proxy(
        steps * 1024,
        evaluations=evaluations,
        learning_rate=2.0,
        warmup_ratio=warmup_ratio,
        final_learning_rate_ratio=final_ratio,
    )
    plan = plan_run(config, 1.0)
    rates = [learning_rate(config.optimization, plan, step) for step in range(1, steps + 1)]
    rise, fall = rates[: plan.warmup_steps], rates[plan.warmup_steps :]
    assert rise == sorted(rise)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(fall))
    assert max(rates) <= 2.0 + 1e-12
    assert rates[-1] == pytest.approx(2.0 * final_ratio, abs=1e-12)
    assert not rise or rise[-1] == 2.0
    assert len(plan.evaluation_steps) == min(evaluations, steps)
    assert max(plan.evaluation_steps) == steps


def test_halfway_down_the_cosine_the_rate_is_the_mean_of_both_ends() -> None:
    optimization = OptimizationConfig(learning_rate=1.0, final_learning_rate_ratio=0.1)
    assert learning_rate(optimization, RunPlan(30, 10, frozenset()), 20) == pytest.approx(0.55)


def test_left_out_deviation_follows_the_width() -> None:
    assert InitializationConfig().std_at(400) == 0.05
    assert InitializationConfig(std=0.02).std_at(400) == 0.02


@pytest.mark.parametrize(("scheme", "base"), [("mup", None), ("constant", 64), ("gpt2", 128)])
def test_a_scheme_and_a_parametrisation_that_contradict_each_other_are_refused(scheme: str, base: int | None) -> None:
    document = proxy(10_000).model_dump()
    document["architecture"]["mup_base_width"] = base
    document["initialization"]["scheme"] = scheme
    with pytest.raises(ValidationError, match="go together; give both or none"):
        ProxyConfig.model_validate(document)


def test_a_trial_stores_its_parametrisation() -> None:
    standard = proxy(10_000)
    mup = standard.model_copy(
        update={
            "architecture": ARCHITECTURE.model_copy(update={"mup_base_width": 16, "block": "pangu_pi"}),
            "initialization": InitializationConfig(scheme="mup"),
        }
    )
    plan = plan_run(standard, 1.0)
    stored = [recipe_attributes(config, plan) for config in (standard, mup)]
    assert stored[0]["parametrisation"] == "standard"
    assert "mup_base_width" not in stored[0]
    expected = {"parametrisation": "mup", "mup_base_width": 16, "block": "pangu_pi", "init_std": 0.25}
    assert expected.items() <= stored[1].items()
