"""Planted fronts, and what should be concluded from them."""

from numpy.random import Generator

from studies.formulas.shrink.law import fit_shrink
from studies.formulas.simulation.coverage import CONTEXT, INSIDE, OUTSIDE, Outcome, Scenario, holds
from studies.formulas.simulation.planted_shrink import ShrinkPlan, plant_shrink


def shrink(name: str, plan: ShrinkPlan, dimension: str = "") -> Scenario:
    """The exponent of a dimension (empty: the depth) must be covered, and TinyNet's order be named as it is."""
    width = plan.width_exponent()
    truth = {"": plan.depth_exponent, "width": width, "ffn_ratio": plan.ratio_exponent}[dimension]
    deserved, wrong = (INSIDE, OUTSIDE) if width > plan.depth_exponent else (OUTSIDE, INSIDE)

    def study(generator: Generator) -> Outcome:
        formulas = fit_shrink(plant_shrink(plan, generator), CONTEXT)
        verdict = formulas[0].verdict
        own = next((formula for formula in formulas if formula.variant == dimension), None)
        covered = None if own is None else holds(own.coefficients.get("exponent"), truth)
        return Outcome(covered, verdict in wrong, verdict in deserved)

    return Scenario(name, study)


FAST_DEPTH = ShrinkPlan(depth_exponent=0.7)
SHRINK_SCENARIOS: tuple[Scenario, ...] = (
    shrink("depth^0.25, 5 budgets x 16 networks", ShrinkPlan()),
    shrink("the same, its width", ShrinkPlan(), "width"),
    shrink("the same, its FFN ratio", ShrinkPlan(), "ffn_ratio"),
    shrink("depth^0", ShrinkPlan(depth_exponent=0.0)),
    shrink("depth^0.7: depth shrinks faster", FAST_DEPTH),
    shrink("depth^0.25, 5 budgets x 10 networks", ShrinkPlan(networks=10)),
    shrink("depth^0.25, 5 budgets x 40 networks", ShrinkPlan(networks=40)),
    shrink("depth^0.25, 3 budgets, 4 apart", ShrinkPlan(budgets=3, step=4.0, networks=24)),
    shrink("depth^0.25, continuous budgets", ShrinkPlan(continuous=True)),
    shrink("depth^0.25, noise and jitter 0.010", ShrinkPlan(noise=0.01, jitter=0.01)),
    shrink("depth^0.25, skewed 0.3", ShrinkPlan(skew=0.3)),
    shrink("depth^0.25, skewed -0.3", ShrinkPlan(skew=-0.3)),
    shrink("depth^0.25, tried depths off by 0.7", ShrinkPlan(off_centre=0.7)),
    shrink("depth^0.25, off by 0.7, skewed 0.3", ShrinkPlan(off_centre=0.7, skew=0.3)),
    shrink("depth^0.25, ratio^0.2", ShrinkPlan(ratio_exponent=0.2), "ffn_ratio"),
)
