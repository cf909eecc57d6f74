"""Schedules with a cooldown, and shorter runs that share their trunk with a longer one."""

from typing import Any

import pytest
from pydantic import ValidationError

from model.errors import InvalidInput
from trainer.config import OptimizationConfig, ProxyConfig, TrainingLength
from trainer.loop import TrainingRun
from trainer.plan import RunPlan, learning_rate, plan_run
from trainer.results import StepResult
from trainer.text.data import PreparedData


def wsd(config: ProxyConfig, steps: int = 20, evaluations: int = 2, annealed: bool = True, **own: Any) -> ProxyConfig:
    optimization = config.optimization.model_copy(
        update={"schedule": "wsd", "warmup_tokens": 256, "cooldown_ratio": 0.4, **own}
    )
    changes = {
        "optimization": optimization,
        "length": TrainingLength(unit="tokens", amount=steps * 256),
        "evaluations": evaluations,
        "annealed_evaluations": annealed,
    }
    return config.model_copy(update=changes)


def test_wsd_stays_at_the_peak_and_ends_at_the_final_rate() -> None:
    optimization = OptimizationConfig(schedule="wsd", learning_rate=1.0, final_learning_rate_ratio=0.1)
    plan = RunPlan(steps=20, warmup_steps=2, evaluation_steps=frozenset({20}), cooldown_steps=4)
    rates = [learning_rate(optimization, plan, step) for step in range(1, 21)]
    assert rates[:2] == [0.5, 1.0]
    assert rates[2:16] == [1.0] * 14
    assert rates[16:] == pytest.approx([0.1 + 0.9 * (1 - (step / 4) ** 0.5) for step in (1, 2, 3, 4)])


@pytest.mark.parametrize("others", [0, 1])
def test_an_annealed_evaluation_is_that_of_the_shorter_run(
    config: ProxyConfig, data: PreparedData, others: int
) -> None:
    longer, shorter, plain = wsd(config), wsd(config, 10, 1), wsd(config, 20, 1)
    stack = [longer.model_copy(update={"seed": 5})] * others
    results = [found[0] for found in TrainingRun(longer, data, stack).member_results()]
    assert all(isinstance(result, StepResult) for result in results)
    annealed = [result for result in results if isinstance(result, StepResult) and result.evaluation]
    assert [result.step for result in annealed] == [10, 20]
    alone = list(TrainingRun(shorter, data).results())[-1]
    whole = list(TrainingRun(plain, data).results())
    if others:
        assert annealed[0].evaluation is not None
        assert alone.evaluation is not None
        assert annealed[0].evaluation.bits_per_byte == pytest.approx(alone.evaluation.bits_per_byte, rel=1e-4)
        return
    assert annealed[0].evaluation == alone.evaluation
    assert annealed[0].learning_rate == alone.learning_rate
    trunk = [result for result in results if result is not annealed[0]]
    assert [result.train_loss for result in trunk if isinstance(result, StepResult)] == [
        result.train_loss for result in whole
    ]
    assert annealed[1].evaluation == whole[-1].evaluation
    assert annealed[1].summary is not None
    assert annealed[1].summary.attributes["annealed_tokens"] == 4 * 256
    assert annealed[1].summary.attributes["cooldown_tokens"] == 8 * 256
    assert annealed[1].summary.metrics["train_tokens"] == 20 * 256


def test_evaluations_that_are_not_annealed_are_of_the_trunk(config: ProxyConfig) -> None:
    plan = plan_run(wsd(config, annealed=False), 1.0)
    assert plan.evaluation_steps == {10, 20}
    assert not plan.forks


def test_a_fork_needs_a_trunk(config: ProxyConfig) -> None:
    with pytest.raises(ValidationError, match="a cosine has no trunk"):
        ProxyConfig.model_validate({**config.model_dump(), "annealed_evaluations": True})
    with pytest.raises(InvalidInput, match="warmup_tokens: the cooldown of the run of 5 steps begins before the 4"):
        plan_run(wsd(config, evaluations=4, warmup_tokens=4 * 256), 1.0)
    with pytest.raises(InvalidInput, match="evaluations: a run of 20 steps has no room for 20 cooldowns"):
        plan_run(wsd(config, evaluations=20, warmup_tokens=0), 1.0)


def test_only_the_listed_evaluations_are_made(config: ProxyConfig) -> None:
    listed = wsd(config, steps=90, evaluations=9).model_copy(update={"annealed_evaluations": (1, 3)})
    plan = plan_run(listed, 1.0)
    assert plan.forks == {6: 10, 18: 30}
    assert plan.evaluation_steps == {90}
    assert plan.fork(18).forks == {6: 10}
    for wrong in ((3, 1), (1, 1), (1, 10)):
        with pytest.raises(ValidationError, match="list ascending numbers below 9"):
            ProxyConfig.model_validate({**listed.model_dump(), "annealed_evaluations": wrong})


def test_a_default_warmup_ends_where_the_first_cooldown_begins(config: ProxyConfig) -> None:
    long = wsd(config, steps=900, evaluations=9, warmup_tokens=None, cooldown_ratio=0.2)
    assert plan_run(long, 1.0).warmup_steps == 80
    assert plan_run(long.model_copy(update={"annealed_evaluations": False}), 1.0).warmup_steps == 90


def test_an_annealed_evaluation_says_what_its_run_and_those_before_it_cost(
    config: ProxyConfig, data: PreparedData
) -> None:
    results = list(TrainingRun(wsd(config, steps=12, evaluations=3), data).results())
    told = [result.summary for result in results if result.summary is not None]
    tokens = [summary.metrics["train_tokens"] for summary in told]
    assert tokens == [4 * 256, 8 * 256, 12 * 256]
    assert [summary.attributes["annealed_tokens"] for summary in told] == [0, 2 * 256, (2 + 3) * 256]
    assert [summary.attributes["steps"] for summary in told] == [4, 8, 12]
    for summary, own in zip(told, tokens, strict=True):
        spent = own + float(summary.attributes["annealed_tokens"])
        assert summary.attributes["spent_flops"] == pytest.approx(summary.metrics["train_flops"] * spent / own)
    assert ["decode_tokens_per_second" in summary.metrics for summary in told] == [False, False, True]
