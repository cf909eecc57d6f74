"""From a request to what is trained: the sizes, the recipe and its rivals at each, and what they cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from model.errors import InvalidInput
from studies.formulas.formula import Formula
from studies.recipe import Recipe, Target, best_trial, recipe_for_target
from studies.recipe.models import NO_MODELS, Models
from studies.records import Trial, TrialState
from studies.spec import StudySpec
from studies.validation.candidates import candidates_of, distinct
from studies.validation.judgement import TITLES
from studies.validation.request import MARGIN_SHARE, MIN_SIZES, RungPlan, ValidationPlan, ValidationRequest
from studies.validation.rungs import plan_rung, run_flops

METRIC = "bits_per_byte"
GROWTH = 2.0
"""Between sizes that are chosen here (assumed: three sizes then span a factor of 4, at 1.3 times the cost of the
largest alone)."""
FEW_TOKENS = 5
"""Tokens per parameter below which a warning says that the runs are short (assumed: a quarter of the 20 that
arXiv 2203.15556, table 3 finds compute-optimal)."""
SEED_BLOCK = 1000
"""Seeds of one validation lie in a block of their own, so that a further one is trained on fresh seeds."""
MAX_TRIES = 12


@dataclass(frozen=True, slots=True)
class Evidence:
    """The study whose recipe is validated."""

    spec: StudySpec
    trials: Sequence[Trial]
    formulas: Sequence[Formula]
    flops_per_second: float | None
    """Speed of its trials."""
    earlier: int
    """Validations that it has already."""
    models: Models = NO_MODELS
    """The parent and the teacher of its trials."""

    def recipe(self, size: int, tokens: int) -> Recipe:
        """The study's recipe for a target.

        Raises:
            InvalidInput: no config can meet it.
        """
        target = Target(total_parameters=size, tokens=tokens)
        return recipe_for_target(self.spec, self.trials, self.formulas, target, models=self.models)


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and the study that each size becomes."""

    plan: ValidationPlan
    specs: tuple[StudySpec, ...]


def plan_validation(evidence: Evidence, request: ValidationRequest) -> Planned:
    """Plan a validation.

    Raises:
        InvalidInput: the study has nothing to validate, a size holds no network, or the cost exceeds the cap.
    """
    _check_target(request)
    best = best_trial(evidence.spec, evidence.trials)
    if best is None or METRIC not in best.metrics:
        reason = f"has no complete trial with {METRIC}, so that there is no recipe to validate"
        raise InvalidInput("study", reason, "run it first")
    ratio = _tokens_per_parameter(request, best)
    cap = request.max_train_flops
    spent = _spent(evidence.trials)
    if cap is None and request.sizes is None:
        cap = spent
    sizes = request.sizes or _sizes(evidence, request, ratio, cap)
    seeds = range((evidence.earlier + 1) * SEED_BLOCK, (evidence.earlier + 1) * SEED_BLOCK + request.seeds)
    planned = [_plan_rung(evidence, size, ratio, seeds, place, len(sizes)) for place, size in enumerate(sizes)]
    rungs = tuple(rung for rung, _ in planned)
    _check_growth(rungs)
    flops = math.fsum(rung.train_flops for rung in rungs)
    _check_cost(flops, cap, request)
    plan = ValidationPlan(
        total_parameters=request.total_parameters,
        tokens=request.tokens,
        margin=request.margin or float(f"{MARGIN_SHARE * best.metrics[METRIC]:.3g}"),
        tokens_per_parameter=ratio,
        rungs=rungs,
        runs=sum(len(rung.seeds) * len({one.point for one in rung.candidates}) for rung in rungs),
        train_flops=flops,
        study_flops=spent,
        device_seconds=flops / evidence.flops_per_second if evidence.flops_per_second else None,
        best_trial=best.number,
        formulas=tuple(formula.id for formula in evidence.formulas),
        warnings=tuple(_warnings(evidence, request, rungs, ratio)),
    )
    return Planned(plan, tuple(spec for _, spec in planned))


def _check_target(request: ValidationRequest) -> None:
    given = {"total_parameters": request.total_parameters, "tokens": request.tokens}
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == 1:
        raise InvalidInput(missing[0], "a target needs both total_parameters and tokens", f"give {missing[0]} too")


def _tokens_per_parameter(request: ValidationRequest, best: Trial) -> float:
    if request.tokens_per_parameter is not None:
        return request.tokens_per_parameter
    if request.tokens is not None and request.total_parameters is not None:
        return request.tokens / request.total_parameters
    tokens, parameters = (best.metrics.get(name) for name in ("train_tokens", "total_parameters"))
    if not tokens or not parameters:
        reason = f"trial {best.number} does not say how many tokens and parameters it had"
        raise InvalidInput("tokens_per_parameter", reason, "give it, or a target")
    return tokens / parameters


def _spent(trials: Sequence[Trial]) -> float | None:
    spent = [trial.metrics["train_flops"] for trial in trials if "train_flops" in trial.metrics]
    return math.fsum(spent) if spent else None


def _tokens_at(size: int, ratio: float) -> int:
    return max(round(size * ratio), 1)


def _plan_rung(
    evidence: Evidence, size: int, ratio: float, seeds: Sequence[int], place: int, count: int
) -> tuple[RungPlan, StudySpec]:
    tokens = _tokens_at(size, ratio)
    try:
        recipe = evidence.recipe(size, tokens)
        name = f"{evidence.spec.name[:120]}: validation {evidence.earlier + 1}, size {place + 1} of {count}"
        return plan_rung(evidence.spec, recipe, tokens, seeds, name)
    except InvalidInput as error:
        field = "tokens_per_parameter" if error.field in ("tokens", "train_tokens") else f"sizes.{place}"
        raise InvalidInput(field, f"at {size} parameters and {tokens} tokens: {error.reason}", error.remedy) from error


def _sizes(evidence: Evidence, request: ValidationRequest, ratio: float, cap: float | None) -> tuple[int, ...]:
    """Three sizes that double, the largest as large as the cap allows and no larger than the target."""
    if cap is None:
        reason = "the study does not say what it spent, so that there is no budget to choose sizes by"
        raise InvalidInput("sizes", reason, "give sizes, or max_train_flops")
    top = _largest_measured(evidence.trials) * GROWTH**MIN_SIZES
    if request.total_parameters is not None:
        top = float(request.total_parameters)
    for _ in range(MAX_TRIES):
        sizes = tuple(_rounded(top / GROWTH**below) for below in reversed(range(MIN_SIZES)))
        cost = math.fsum(_cost(evidence, size, ratio, request.seeds, place) for place, size in enumerate(sizes))
        if cost <= cap:
            return sizes
        top *= 0.98 * math.sqrt(cap / cost)  # the cost grows at most with the square of the size
    reason = f"{cap:.3g} FLOPs pay for no three sizes that hold a network"
    raise InvalidInput("max_train_flops", reason, "give a larger one, fewer tokens_per_parameter, or sizes")


def _rounded(size: float) -> int:
    return round(float(f"{size:.3g}"))


def _cost(evidence: Evidence, size: int, ratio: float, seeds: int, place: int) -> float:
    """Training FLOPs of one size, without its study."""
    tokens = _tokens_at(size, ratio)
    try:
        recipe = evidence.recipe(size, tokens)
        configs = {at: candidate.config for candidate, at in distinct(candidates_of(recipe, tokens))}
    except InvalidInput as error:
        reason = f"size {place + 1} that the budget allows is {size} parameters: {error.reason}"
        raise InvalidInput(
            "max_train_flops", reason, "give a larger one, fewer tokens_per_parameter, or sizes"
        ) from error
    return seeds * math.fsum(run_flops(config, recipe.plan) for config in configs.values())


def _largest_measured(trials: Sequence[Trial]) -> float:
    sizes = (trial.metrics.get("total_parameters", 0.0) for trial in trials if trial.state is TrialState.COMPLETE)
    return max(sizes)


def _check_growth(rungs: Sequence[RungPlan]) -> None:
    for below, above in pairwise(rungs):
        if above.total_parameters <= below.total_parameters:
            reason = f"two sizes give the same network of {above.total_parameters} parameters"
            raise InvalidInput("sizes", reason, "give sizes that lie further apart")


def _check_cost(flops: float, cap: float | None, request: ValidationRequest) -> None:
    if cap is not None and flops > cap:
        reason = f"these runs take {flops:.3g} training FLOPs, more than {cap:.3g}"
        remedy = "raise it, or give smaller sizes, fewer seeds or fewer tokens_per_parameter"
        raise InvalidInput("max_train_flops", reason, remedy)


def _warnings(evidence: Evidence, request: ValidationRequest, rungs: Sequence[RungPlan], ratio: float) -> list[str]:
    found = []
    largest = _largest_measured(evidence.trials)
    if rungs[-1].total_parameters <= largest:
        found.append(
            f"The largest size, {rungs[-1].total_parameters:,} parameters, is no larger than the trials' "
            f"{largest:,.0f}: nothing beyond them is tested."
        )
    if ratio < FEW_TOKENS:
        found.append(f"Runs of {ratio:.3g} tokens per parameter are short; what they rank need not hold for long ones.")
    if request.tokens is not None and request.total_parameters is not None:
        own = request.tokens / request.total_parameters
        if not math.isclose(own, ratio, rel_tol=0.01):
            found.append(f"The target trains {own:.3g} tokens per parameter, the runs here {ratio:.3g}.")
    for rung in rungs:
        found += [f"At {rung.total_parameters:,} parameters, {line}." for line in rung.held]
        same = [TITLES[one.name] for one in rung.candidates[1:] if one.point == 0]
        found += [f"At {rung.total_parameters:,} parameters {name} is the recipe itself." for name in same]
    return list(dict.fromkeys(found))
