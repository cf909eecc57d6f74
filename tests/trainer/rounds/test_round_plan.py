import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from model.errors import InvalidInput
from trainer.config import OptimizationConfig, ProxyConfig
from trainer.plan import learning_rate, plan_run
from trainer.rounds.config import RoundsConfig
from trainer.rounds.plan import RoundPlan, plan_rounds


@given(st.integers(2, 10), st.floats(0.01, 1), st.integers(1, 20), st.integers(2, 5000))
def test_the_rounds_add_up_to_the_run(rounds: int, rate: float, parts: int, steps: int) -> None:
    try:
        plan = plan_rounds(RoundsConfig(rounds=rounds, sampling_rate=rate, parts=parts), steps)
    except InvalidInput:
        return
    assert plan is not None
    assert plan.first_steps + (rounds - 1) * plan.later_steps == steps
    assert plan.later_steps <= plan.first_steps
    assert abs(plan.later_steps - rate * plan.first_steps) <= 1 + rate * (rounds - 1) + 1e-6
    sizes = [after - before for before, after in zip(plan.part_bounds, plan.part_bounds[1:], strict=False)]
    assert sum(sizes) == plan.first_steps
    assert max(sizes) - min(sizes) <= 1
    assert sum(plan.taken) == plan.later_steps
    assert all(1 <= taken <= size for taken, size in zip(plan.taken, sizes, strict=True))
    numbers = [plan.round_at(step) for step in range(1, steps + 1)]
    assert [numbers.count(number) for number in range(1, rounds + 1)] == [
        plan.first_steps,
        *[plan.later_steps] * (rounds - 1),
    ]
    assert all(numbers[boundary - 1] + 1 == numbers[boundary] for boundary in plan.boundaries)


def test_what_the_paper_s_rounds_come_to() -> None:
    assert plan_rounds(RoundsConfig(rounds=2, sampling_rate=0.5), 1200) == RoundPlan(2, 8, 800, 400)
    assert plan_rounds(RoundsConfig(rounds=3, sampling_rate=0.5), 1200) == RoundPlan(3, 8, 600, 300)
    assert plan_rounds(RoundsConfig(rounds=2, sampling_rate=1.0), 5000) == RoundPlan(2, 8, 2500, 2500)
    assert plan_rounds(RoundsConfig(), 1200) is None
    assert plan_rounds(RoundsConfig(forgetting=True), 1200) == RoundPlan(1, 8, 1200, 0)


@pytest.mark.parametrize(
    ("fields", "steps", "field", "said"),
    [
        ({"rounds": 2, "parts": 8}, 9, "parts", "a first round of 6 steps has no 8 parts; give at most 6"),
        ({"rounds": 2, "parts": 8}, 18, "parts", "rounds of 12 and then 6 steps, too few for a batch of each of the 8"),
        ({"rounds": 2, "parts": 1, "sampling_rate": 0.1}, 8, "rounds", "give fewer rounds, a higher sampling_rate"),
        ({"forgetting": True}, 7, "parts", "a first round of 7 steps has no 8 parts"),
    ],
)
def test_a_run_too_short_for_its_rounds_is_refused(
    fields: dict[str, object], steps: int, field: str, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        plan_rounds(RoundsConfig.model_validate(fields), steps)
    assert caught.value.field == field


@pytest.mark.parametrize("rate", [0, -0.5, 1.01, float("nan"), float("inf")])
def test_sampling_rates_outside_of_0_and_1_are_refused(rate: float) -> None:
    with pytest.raises(ValidationError, match="sampling_rate"):
        RoundsConfig(sampling_rate=rate)


def test_the_schedule_and_the_length_are_those_of_one_round(config: ProxyConfig) -> None:
    several = config.model_copy(update={"multiple_rounds": RoundsConfig(rounds=3, parts=2)})
    one, three = plan_run(config, 1.0), plan_run(several, 1.0)
    assert (one.steps, one.warmup_steps, one.evaluation_steps) == (
        three.steps,
        three.warmup_steps,
        three.evaluation_steps,
    )
    assert [learning_rate(config.optimization, one, step) for step in range(1, 13)] == [
        learning_rate(config.optimization, three, step) for step in range(1, 13)
    ]


@pytest.mark.parametrize("rounds", [RoundsConfig(rounds=2), RoundsConfig(forgetting=True)])
def test_shorter_runs_do_not_share_rounds(config: ProxyConfig, rounds: RoundsConfig) -> None:
    fields = {
        **config.model_dump(),
        "optimization": OptimizationConfig(schedule="wsd", batch_tokens=256),
        "annealed_evaluations": True,
        "multiple_rounds": rounds,
    }
    with pytest.raises(ValidationError, match=r"annealed_evaluations.*set annealed_evaluations: false, or rounds: 1"):
        ProxyConfig.model_validate(fields)
    allowed = {**fields, "multiple_rounds": RoundsConfig(forgetting=False)}
    assert ProxyConfig.model_validate(allowed).annealed_evaluations
