"""How long a run is and how its learning rate moves: plain arithmetic, no torch."""

import math
from dataclasses import dataclass

from model.config import ArchitectureConfig
from model.counts import training_flops_per_token
from model.errors import InvalidInput
from trainer.config import OptimizationConfig, ProxyConfig, TrainingLength

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


def plan_run(config: ProxyConfig, bytes_per_token: float) -> RunPlan:
    """Convert the length and the warm-up to whole steps, rounded to the nearest.

    ``bytes_per_token`` is the average over the training side.

    Raises:
        InvalidInput: the batch holds no whole sequences, or the run is shorter than ``MIN_STEPS`` or its warm-up.
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
    evaluations = min(config.evaluations, steps)
    evaluation_steps = frozenset(round(steps * part / evaluations) for part in range(1, evaluations + 1))
    return RunPlan(steps, _warmup_steps(config.optimization, steps), evaluation_steps)


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
    """Rate of ``step`` (counted from 1): linear to the peak, then a cosine to the final rate at the last step.

    SGDR's cosine without restarts (arXiv 1608.03983, equation 5), after a linear warm-up.
    """
    peak, final_ratio = optimization.learning_rate, optimization.final_learning_rate_ratio
    if step <= plan.warmup_steps:
        return peak * step / plan.warmup_steps
    progress = (step - plan.warmup_steps) / (plan.steps - plan.warmup_steps)
    return peak * (final_ratio + (1 - final_ratio) * (1 + math.cos(math.pi * progress)) / 2)
