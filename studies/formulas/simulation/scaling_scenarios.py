"""Planted scaling laws, and what should be concluded from them."""

from numpy.random import Generator

from studies.formulas.scaling.law import fit_scaling
from studies.formulas.scaling.published import CLAIM
from studies.formulas.simulation.coverage import INSIDE, OUTSIDE, Outcome, Scenario, holds, principal_of
from studies.formulas.simulation.planted_scaling import ScalingPlan, plant_scaling


def scaling(name: str, plan: ScalingPlan) -> Scenario:
    """A law of size and length: alpha, beta, the floor and the best size's exponent must all be covered at 95 %.

    ``covered`` is of the exponent of the best size, which carries the claim.
    """
    low, high = CLAIM.region
    assert low is not None
    assert high is not None
    deserved, wrong = (INSIDE, OUTSIDE) if low <= plan.size_exponent <= high else (OUTSIDE, INSIDE)

    def study(generator: Generator) -> Outcome:
        formula = principal_of(fit_scaling, plant_scaling(plan, generator))
        covered = holds(formula.coefficients["size_exponent"], plan.size_exponent)
        return Outcome(covered, formula.verdict in wrong, formula.verdict in deserved)

    return Scenario(name, study)


def scaling_number(name: str, plan: ScalingPlan, coefficient: str, truth: float) -> Scenario:
    """The interval of one coefficient; nothing is to be decided about it."""

    def study(generator: Generator) -> Outcome:
        formula = principal_of(fit_scaling, plant_scaling(plan, generator))
        return Outcome(holds(formula.coefficients.get(coefficient), truth), False, True)

    return Scenario(name, study)


RATES = (1.5e-3, 3e-3, 6e-3)
SCALING_SCENARIOS: tuple[Scenario, ...] = (
    scaling("a=0.51, 8 sizes x 6 lengths, span 30", ScalingPlan()),
    scaling("a=0.51, no jitter", ScalingPlan(jitter=0.0)),
    scaling("a=0.51, span 64", ScalingPlan(span=64.0)),
    scaling("a=0.51, span 16", ScalingPlan(span=16.0)),
    scaling("a=0.51, span 8: too little", ScalingPlan(span=8.0)),
    scaling("a=0.51, 5 sizes x 5 lengths", ScalingPlan(sizes=5, lengths=5)),
    scaling("a=0.51, 16 sizes x 15 lengths", ScalingPlan(sizes=16, lengths=15)),
    scaling("a=0.51, noise and jitter 0.010", ScalingPlan(noise=0.01, jitter=0.01)),
    scaling("a=0.51, 10 % outliers", ScalingPlan(outliers=0.1)),
    scaling("a=0.51, checkpoints of 8 runs", ScalingPlan(checkpoints=0.7)),
    scaling("a=0.51, 3 rates each, profiled", ScalingPlan(rates=RATES)),
    scaling("a=0.73, span 30", ScalingPlan(alpha=0.2, beta=0.54)),
    scaling("a=0.27, span 30", ScalingPlan(alpha=0.54, beta=0.2)),
    scaling("a=0.62, just outside", ScalingPlan(alpha=0.3, beta=0.49)),
    scaling_number("alpha 0.35", ScalingPlan(), "alpha", 0.35),
    scaling_number("beta 0.37", ScalingPlan(), "beta", 0.37),
    scaling_number("E 1.8", ScalingPlan(), "E", 1.8),
)
