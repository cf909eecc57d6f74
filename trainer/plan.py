"""How long a run is and how its learning rate moves: plain arithmetic, no torch."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from model.config import ArchitectureConfig
from model.counts import training_flops_per_token
from model.errors import InvalidInput
from trainer.config import OptimizationConfig, ProxyConfig, Schedule, TrainingLength, evaluation_numbers
from trainer.rounds.plan import RoundPlan, plan_rounds

MIN_STEPS = 2
"""A cosine needs a beginning and an end."""

MAX_DEFAULT_WARMUP_STEPS = 100
"""Longest warm-up of a run that does not set ``warmup_tokens`` (assumed: 2 / (1 - beta2), here 40 steps, is the rule of
arXiv 1910.04209, abstract; a share of a long run would be thousands of steps in which nothing is learned)."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The realised length of a run, in steps."""

    steps: int
    warmup_steps: int
    evaluation_steps: frozenset[int]
    """Steps (counted from 1) after which the network is evaluated; the last one is among them."""
    cooldown_steps: int = 0
    """Last steps of a WSD schedule, in which the rate falls; 0 under a cosine."""
    forks: Mapping[int, int] = field(default_factory=dict)
    """Annealed evaluations: the step after which a cooldown leaves the trunk, and the step at which that shorter run
    ends. Of a shorter run, those that were made before it."""
    rounds: RoundPlan | None = None
    """Its rounds and their parts, where it has several or its parts are measured."""

    def fork(self, start: int) -> "RunPlan":
        """The shorter run whose cooldown leaves the trunk after ``start``."""
        end = self.forks[start]
        before = {other: its_end for other, its_end in self.forks.items() if other < start}
        return replace(self, steps=end, evaluation_steps=frozenset({end}), cooldown_steps=end - start, forks=before)


def plan_run(config: ProxyConfig, bytes_per_token: float) -> RunPlan:
    """Convert the length and the warm-up to whole steps, rounded to the nearest.

    ``bytes_per_token`` is the average over the training side.

    Raises:
        InvalidInput: the batch holds no whole sequences, the run is shorter than ``MIN_STEPS`` or its warm-up, a
            cooldown begins before the warm-up ends, or the run is too short for its annealed evaluations or its rounds.
    """
    batch_tokens = config.optimization.batch_tokens
    if batch_tokens % config.architecture.sequence_length:
        reason = f"{batch_tokens} is not a multiple of the sequence length {config.architecture.sequence_length}"
        raise InvalidInput("batch_tokens", reason, "give a multiple")
    tokens = _tokens(config.length, config.architecture, bytes_per_token)
    steps = round(tokens / batch_tokens)
    if steps < MIN_STEPS:
        reason = f"{config.length.amount:g} {config.length.unit} are {tokens / batch_tokens:.2f} steps"
        remedy = f"give at least {MIN_STEPS} steps of {batch_tokens} tokens, or a smaller batch_tokens"
        raise InvalidInput(f"train_{config.length.unit}", reason, remedy)
    warmup_steps = _warmup_steps(config.optimization, steps)
    if config.annealed_evaluations:
        return _annealed_plan(config, steps, warmup_steps)
    evaluations = min(config.evaluations, steps)
    evaluation_steps = frozenset(round(steps * part / evaluations) for part in range(1, evaluations + 1))
    plan = RunPlan(steps, warmup_steps, evaluation_steps, rounds=plan_rounds(config.multiple_rounds, steps))
    return plan if config.optimization.schedule == "cosine" else _with_cooldown(plan, config.optimization)


def check_share(config: ProxyConfig, processes: int) -> None:
    """Check that each of the processes gets as many sequences of a batch.

    Raises:
        InvalidInput: they do not divide the batch.
    """
    length, tokens = config.architecture.sequence_length, config.optimization.batch_tokens
    sequences = tokens // length
    if sequences % processes:
        reason = (
            f"{tokens} tokens are {sequences} sequences of {length}, which {processes} processes cannot share evenly"
        )
        fitting = max(count for count in range(1, processes) if sequences % count == 0)
        raise InvalidInput(
            "batch_tokens", reason, f"give a multiple of {processes * length}, or use {fitting} processes"
        )


def _annealed_plan(config: ProxyConfig, steps: int, warmup_steps: int) -> RunPlan:
    """A WSD run with a fork for every evaluation but the last.

    A warm-up that the config leaves to this module ends at the latest where the first cooldown begins.
    """
    optimization = config.optimization
    numbers = evaluation_numbers(config.evaluations, config.annealed_evaluations)
    ends = [round(steps * number / config.evaluations) for number in numbers]
    starts = [end - _cooldown_steps(optimization, end) for end in ends]
    if starts[0] < 1 or len(set(starts)) < len(starts) or ends[0] == starts[0]:
        reason = (
            f"a run of {steps} steps has no room for {len(ends)} cooldowns, of which the first ends at step {ends[0]}"
        )
        raise InvalidInput("evaluations", reason, "give fewer evaluations, or a longer run")
    if optimization.warmup_tokens is None:
        warmup_steps = min(warmup_steps, starts[0])
    _check_warmup(warmup_steps, starts[0], ends[0])
    forks = dict(zip(starts[:-1], ends[:-1], strict=True))
    return _with_cooldown(RunPlan(steps, warmup_steps, frozenset({steps}), forks=forks), optimization)


def _with_cooldown(plan: RunPlan, optimization: OptimizationConfig) -> RunPlan:
    """The same plan under a WSD schedule."""
    cooldown_steps = _cooldown_steps(optimization, plan.steps)
    _check_warmup(plan.warmup_steps, plan.steps - cooldown_steps, plan.steps)
    return replace(plan, cooldown_steps=cooldown_steps)


def _cooldown_steps(optimization: OptimizationConfig, end: int) -> int:
    return min(max(round(optimization.cooldown_ratio * end), 1), end - 1)


def _check_warmup(warmup_steps: int, start: int, end: int) -> None:
    if start < warmup_steps:
        reason = f"the cooldown of the run of {end} steps begins before the {warmup_steps} steps of warm-up end"
        raise InvalidInput("warmup_tokens", reason, "give a shorter warm-up, or fewer evaluations")


def _tokens(length: TrainingLength, architecture: ArchitectureConfig, bytes_per_token: float) -> float:
    of_one_token = {"tokens": 1.0, "bytes": bytes_per_token, "flops": training_flops_per_token(architecture)}
    return length.amount / of_one_token[length.unit]


def _warmup_steps(optimization: OptimizationConfig, steps: int) -> int:
    if optimization.warmup_tokens is None:
        return min(round(optimization.warmup_ratio * steps), MAX_DEFAULT_WARMUP_STEPS, steps - 1)
    run_tokens = steps * optimization.batch_tokens
    warmup_steps = round(min(optimization.warmup_tokens, run_tokens) / optimization.batch_tokens)
    if warmup_steps >= steps:
        reason = f"{optimization.warmup_tokens} tokens are no shorter than the whole run, {run_tokens} tokens"
        raise InvalidInput("warmup_tokens", reason, "give a warm-up shorter than the run")
    return warmup_steps


def learning_rate(optimization: OptimizationConfig, plan: RunPlan, step: int) -> float:
    """Rate of ``step`` (counted from 1): linear to the peak, then down to the final rate at the last step.

    ``cosine`` is SGDR's without restarts (arXiv 1608.03983, equation 5). ``wsd`` stays at the peak (warm-up, stable,
    decay: arXiv 2404.06395, section 4) until a cooldown of the form 1 - sqrt (arXiv 2405.18392, section 3).
    """
    peak, final_ratio = optimization.learning_rate, optimization.final_learning_rate_ratio
    if step <= plan.warmup_steps:
        return peak * step / plan.warmup_steps
    return peak * (final_ratio + (1 - final_ratio) * _SHAPES[optimization.schedule](plan, step))


def _cosine(plan: RunPlan, step: int) -> float:
    progress = (step - plan.warmup_steps) / (plan.steps - plan.warmup_steps)
    return (1 + math.cos(math.pi * progress)) / 2


def _wsd(plan: RunPlan, step: int) -> float:
    progress = max(step - (plan.steps - plan.cooldown_steps), 0) / plan.cooldown_steps
    return 1 - math.sqrt(progress)


_SHAPES: Mapping[Schedule, Callable[[RunPlan, int], float]] = {"cosine": _cosine, "wsd": _wsd}
"""Share of the way from the final rate to the peak, after the warm-up."""
