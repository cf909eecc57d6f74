"""Do the intervals of joint laws hold? What is concluded from planted surfaces, coefficient by coefficient."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from studies.formulas.evaluation import evaluate
from studies.formulas.formula import Formula
from studies.formulas.learning_rate_batch.law import fit_learning_rate_batch
from studies.formulas.simulation.coverage import CONTEXT, Outcome, Tally, holds
from studies.formulas.simulation.surfaces import STEP_LAW_GRIDS, Ridge, SurfacePlan, plant_surfaces

INSIDE = {"non_embedding_parameters": 5e8, "train_tokens": 2e10, "batch_tokens": 2.0**18}
OUTSIDE = {"non_embedding_parameters": 2e9, "train_tokens": 2e11, "batch_tokens": 2.0**19}
"""Points at which the joint law's interval of the rate must hold the planted one; the second is twice as large and long
as any grid."""
MISSING = Outcome(None, False, False)


@dataclass(frozen=True, slots=True)
class SurfaceScenario:
    """A planted surface, of which several conclusions are drawn."""

    name: str
    plan: SurfacePlan


def outcomes(plan: SurfacePlan, generator: Generator) -> dict[str, Outcome]:
    """What one simulated study concludes of each thing.

    A number is decided where its interval is stated. A form is decided where the planted one is reported, of a planted
    break either form that bends; it is false where one bends that should not, or saturates at a sharp break.
    """
    fitted = {law.variant: law for law in fit_learning_rate_batch(plant_surfaces(plan, generator), CONTEXT)}
    if len({tokens for _, tokens in plan.grids}) == 1:
        return _of_one_length(fitted[""], plan)
    a, b = plan.rate_exponents
    return {
        "e of best_batch": _number(fitted.get("best_batch"), "e", plan.batch_exponent),
        "a of rate_at_best_batch": _number(fitted.get("rate_at_best_batch"), "a", a),
        "b of rate_at_best_batch": _number(fitted.get("rate_at_best_batch"), "b", b),
        "a of joint_rate": _number(fitted.get("joint_rate"), "a", a),
        "b of joint_rate": _number(fitted.get("joint_rate"), "b", b),
        "rate at a point inside": _value(fitted.get("joint_rate"), plan, INSIDE),
        "rate at a point outside": _value(fitted.get("joint_rate"), plan, OUTSIDE),
        "form of joint_rate": _form(fitted.get("joint_rate"), plan.ridge),
    }


def _of_one_length(formula: Formula, plan: SurfacePlan) -> dict[str, Outcome]:
    """The principal law; B_noise is that of a grid of the reference length."""
    saturation = plan.ridge.saturation
    found = {"form": _form(formula, plan.ridge)}
    if saturation is None:
        return found
    return {
        **found,
        "alpha": _number(formula, "alpha", plan.ridge.below),
        "B_noise": _number(formula, "noise_batch_tokens", saturation * plan.middle_batch),
    }


def _number(formula: Formula | None, name: str, truth: float) -> Outcome:
    covered = None if formula is None else holds(formula.coefficients.get(name), truth)
    return Outcome(covered, False, covered is not None)


def _value(formula: Formula | None, plan: SurfacePlan, point: Mapping[str, float]) -> Outcome:
    if formula is None:
        return MISSING
    found = evaluate(formula, point)
    return Outcome(found.low <= planted_rate(plan, point) <= found.high, False, True)


def planted_rate(plan: SurfacePlan, point: Mapping[str, float]) -> float:
    """The planted best rate, without jitter."""
    x = math.log(point["non_embedding_parameters"] / 5e8)
    y = math.log(point["train_tokens"] / 2e10)
    a, b = plan.rate_exponents
    distance = math.log(point["batch_tokens"] / plan.middle_batch) - plan.batch_exponent * y
    return 0.003 * math.exp(a * x + b * y + plan.ridge.at(distance))


def _form(formula: Formula | None, ridge: Ridge) -> Outcome:
    if formula is None:
        return MISSING
    if ridge.saturation is None and ridge.below == ridge.above:
        return Outcome(None, formula.form != "power", formula.form == "power")
    if ridge.saturation is not None:
        return Outcome(None, False, formula.form == "saturating")
    return Outcome(None, ridge.rounding == 0 and formula.form == "saturating", formula.form != "power")


def tally_surfaces(scenario: SurfaceScenario, studies: int, seed: int) -> dict[str, Tally]:
    """Simulate independent studies; a tally for each conclusion."""
    generator = np.random.default_rng(seed)
    drawn = [outcomes(scenario.plan, generator) for _ in range(studies)]
    return {name: _tally([each[name] for each in drawn]) for name in drawn[0]}


def _tally(found: Sequence[Outcome]) -> Tally:
    stated = [outcome.covered for outcome in found if outcome.covered is not None]
    return Tally(
        len(found),
        float(np.mean(stated)) if stated else float("nan"),
        float(np.mean([outcome.false for outcome in found])),
        float(np.mean([outcome.decided for outcome in found])),
    )


CENSORED_RATES = tuple(2.0 ** (step - 10) for step in range(5))
FIVE_BATCHES = tuple(2.0**power for power in (16, 17.5, 19, 20.5, 22))
ONE_GRID = SurfacePlan(grids=((5e8, 2e10),), batch_jitter=0, ridge=Ridge(0.8, saturation=1.5))
"""One size and length, whose batches are known to lie on both sides of B_noise = 1.5 B*."""
ONE_LENGTH = ((2e8, 2e10), (5e8, 2e10), (1.2e9, 2e10))
SURFACE_SCENARIOS: tuple[SurfaceScenario, ...] = (
    SurfaceScenario("9 grids as published", SurfacePlan()),
    SurfaceScenario("9 grids, twice the jitter", SurfacePlan(rate_jitter=0.12, batch_jitter=0.3, cell_jitter=0.08)),
    SurfaceScenario("9 grids, no jitter", SurfacePlan(rate_jitter=0, batch_jitter=0, cell_jitter=0)),
    SurfaceScenario("9 grids, a sharp break", SurfacePlan(ridge=Ridge(rounding=0.0))),
    SurfaceScenario("9 grids, r = 0.5 everywhere", SurfacePlan(ridge=Ridge(0.5, 0.5))),
    SurfaceScenario("9 grids, saturating", SurfacePlan(ridge=Ridge(0.8, saturation=2.0))),
    SurfaceScenario("9 grids, 5 rates, edges censored", SurfacePlan(rates=CENSORED_RATES)),
    SurfaceScenario("9 grids, 5 batches", SurfacePlan(batches=FIVE_BATCHES)),
    SurfaceScenario("5 grids", SurfacePlan(grids=STEP_LAW_GRIDS[::2])),
    SurfaceScenario("1 grid, saturating in the middle", ONE_GRID),
    SurfaceScenario("1 grid, saturating late", replace(ONE_GRID, ridge=Ridge(0.8, saturation=8.0))),
    SurfaceScenario("1 grid, saturating, cells scatter 0.08", replace(ONE_GRID, cell_jitter=0.08)),
    SurfaceScenario("3 grids of one length, saturating", replace(ONE_GRID, grids=ONE_LENGTH)),
    SurfaceScenario("1 grid, r = 0.5 everywhere", replace(ONE_GRID, ridge=Ridge(0.5, 0.5))),
    SurfaceScenario("1 grid, a sharp break", replace(ONE_GRID, ridge=Ridge(rounding=0.0))),
)
