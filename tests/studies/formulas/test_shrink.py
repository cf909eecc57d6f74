import dataclasses
import json
import math

import numpy as np
import pytest

from api.web.mathml import mathml
from studies.formulas.evaluation import evaluate
from studies.formulas.observations import FitContext
from studies.formulas.shrink.front import front_exponents, near_front
from studies.formulas.shrink.law import fit_shrink
from studies.formulas.shrink.surface import interval
from studies.formulas.simulation.coverage import tally
from studies.formulas.simulation.planted_shrink import ShrinkPlan, plant_shrink
from studies.formulas.simulation.shrink_scenarios import SHRINK_SCENARIOS
from studies.suggestions import suggested_spec

CONTEXT = FitContext(("7",), "validation_loss")
QUIET = ShrinkPlan(noise=0.0005, jitter=0.0005)
SPEC = {
    "version": 1,
    "name": "shapes",
    "space": {"depth": {"type": "int", "low": 2, "high": 16}, "ffn_ratio": {"type": "float", "low": 1.0, "high": 4.0}},
    "constraints": {"total_parameters": {"target": 1_000_000}},
    "inner": {"learning_rate": [0.002, 0.004], "seed": [0]},
    "proxy": {"train_bytes": 1_000_000},
    "max_trial_count": 24,
}


def planted(plan=QUIET, seed=0):
    return plant_shrink(plan, np.random.default_rng(seed))


def with_metrics(rows, **more):
    return [
        dataclasses.replace(row, metrics={**row.metrics, **{name: value(row) for name, value in more.items()}})
        for row in rows
    ]


def test_each_dimension_has_a_formula_that_finds_the_planted_exponent():
    formulas = {formula.variant: formula for formula in fit_shrink(planted(), CONTEXT)}
    assert set(formulas) == {"", "width", "ffn_ratio"}
    found = {name: formula.coefficients["exponent"] for name, formula in formulas.items()}
    assert found[""].estimate == pytest.approx(0.25, abs=0.02)
    assert found["width"].estimate == pytest.approx(QUIET.width_exponent(), abs=0.02)
    assert found["ffn_ratio"].estimate == pytest.approx(0.0, abs=0.04)
    assert formulas[""].coefficients["level"].estimate == pytest.approx(6.0, rel=0.05)
    assert formulas[""].verdict == "agrees_at_this_scale"


def test_the_formula_gives_the_dimension_from_its_json():
    formula = fit_shrink(planted(), CONTEXT)[0]
    small, large = (evaluate(formula, {"total_parameters": budget}) for budget in (5e5, 2e6))
    assert large.estimate / small.estimate == pytest.approx(4 ** formula.coefficients["exponent"].estimate)
    assert small.low < 6 * 0.5**0.25 < small.high
    assert "<math" in mathml(formula.latex)


def test_a_faster_depth_differs_from_tinynets_order():
    formula = fit_shrink(planted(dataclasses.replace(QUIET, depth_exponent=0.7)), CONTEXT)[0]
    order = formula.coefficients["width_less_depth"]
    assert order.high < 0
    assert order.verdict == formula.verdict == "differs_at_this_scale"


def test_the_networks_near_the_front_are_selected_and_their_regression_is_pulled_towards_what_was_tried():
    """Depths around one middle were tried at every budget: selection by outcome flattens the regression."""
    plan = ShrinkPlan(depth_exponent=0.5, networks=40, off_centre=0.7)
    flatter = 0
    for seed in range(10):
        formula = fit_shrink(planted(plan, seed), CONTEXT)[0]
        flatter += formula.evidence["front"]["exponent"] < formula.coefficients["exponent"].estimate
    assert flatter >= 8
    points = formula.evidence["points"]
    near = [point for point in points if point["used"]]
    assert 0.2 * len(points) <= len(near) < 0.4 * len(points)


def test_the_front_is_peeled_until_a_fifth_is_kept():
    budgets = np.array([1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 2.0, 4.0])
    costs = np.array([4.0, 3.0, 2.0, 1.0, 5.0, 5.0, 5.0, 5.0, 6.0, 6.0])
    assert near_front(budgets, costs).tolist() == [True] * 4 + [False] * 6
    kept = np.array([True, True, False])
    assert front_exponents(np.array([0.0, 1.0, 2.0]), np.array([[0.0], [0.5], [9.0]]), kept) == pytest.approx(0.5)
    assert math.isnan(front_exponents(np.zeros(3), np.zeros((3, 1)), kept)[0])


def test_flops_are_a_budget_of_their_own():
    rows = with_metrics(
        planted(), train_flops=lambda row: 6 * row.metrics["total_parameters"] ** 0.5 * row.metrics["train_tokens"]
    )
    formulas = {formula.variant: formula for formula in fit_shrink(rows, CONTEXT)}
    by_flops = formulas["depth_by_flops"].coefficients["exponent"].estimate
    assert by_flops == pytest.approx(2 * formulas[""].coefficients["exponent"].estimate, rel=1e-6)


def test_learning_rates_are_profiled_out():
    rates = (1e-3, 2e-3, 4e-3, 8e-3)
    rows = [
        dataclasses.replace(
            row,
            parameters={**row.parameters, "learning_rate": rate},
            metrics={
                **row.metrics,
                "validation_loss": row.metrics["validation_loss"]
                + 0.03 * (math.log(rate / 3e-3) + 0.4 * math.log2(row.parameters["depth"] / 6)) ** 2,
            },
        )
        for row in planted()
        for rate in rates
    ]
    formula = fit_shrink(rows, CONTEXT)[0]
    assert formula.coefficients["exponent"].estimate == pytest.approx(0.25, abs=0.05)
    single = [
        dataclasses.replace(row, parameters={**row.parameters, "learning_rate": rates[number % 4]})
        for number, row in enumerate(planted())
    ]
    undetermined = fit_shrink(single, CONTEXT)[0]
    assert undetermined.verdict == "undetermined"
    assert "fewer than 3 usable" in undetermined.reasons[0]


def test_other_parameters_are_covariates():
    generator = np.random.default_rng(1)
    rows = []
    for row in planted():
        batch = int(generator.choice([1024, 4096]))
        loss = row.metrics["validation_loss"] + 0.1 * (batch > 2000)
        metrics = {**row.metrics, "validation_loss": loss}
        rows.append(dataclasses.replace(row, parameters={**row.parameters, "batch_tokens": batch}, metrics=metrics))
    assert fit_shrink(rows, CONTEXT)[0].coefficients["exponent"].estimate == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (dataclasses.replace(QUIET, budgets=2, step=2.0, networks=30), "spans a factor of"),
        (dataclasses.replace(QUIET, networks=3), "networks cannot tell a bowl"),
        (ShrinkPlan(strength=0.0, ratio_strength=0.0), "not surely lowest"),
    ],
)
def test_what_is_missing_is_said_and_offered(plan, reason):
    formula = fit_shrink(planted(plan), CONTEXT)[0]
    assert formula.verdict == "undetermined"
    assert reason in " ".join(formula.reasons)
    spec = suggested_spec(SPEC, formula, None)
    assert "target" not in spec["constraints"]["total_parameters"]
    assert spec["space"]["width"]["high"] > spec["space"]["width"]["low"]


def test_losses_of_several_vocabularies_are_not_compared_by_the_token():
    rows = [
        dataclasses.replace(row, parameters={**row.parameters, "vocabulary_size": 512 * 2 ** (row.number % 3)})
        for row in with_metrics(planted(), bits_per_byte=lambda row: row.metrics["validation_loss"])
    ]
    per_token, per_byte = (
        fit_shrink(rows, FitContext(("7",), metric)) for metric in ("validation_loss", "bits_per_byte")
    )
    assert any("not comparable" in reason for reason in per_token[0].reasons)
    assert not any("not comparable" in reason for reason in per_byte[0].reasons)


def test_the_law_does_not_apply_without_a_budget_or_a_shape_that_vary():
    equal = with_metrics(planted(), total_parameters=lambda row: 1e6)
    assert not fit_shrink(equal, CONTEXT)
    straight = [
        dataclasses.replace(row, parameters={"depth": 4, "width": row.parameters["width"]}) for row in planted()
    ]
    assert not fit_shrink(straight, CONTEXT)
    assert not fit_shrink([], CONTEXT)


@pytest.mark.parametrize("kind", ["constant", "huge", "noise", "ridge"])
def test_any_losses_give_numbers_that_json_can_hold(kind):
    generator = np.random.default_rng(0)
    shapes = {
        "constant": lambda row: 3.0,
        "huge": lambda row: row.metrics["validation_loss"] * 1e25,
        "noise": lambda row: float(generator.uniform(1, 1000)),
        "ridge": lambda row: -float(row.parameters["depth"]),
    }
    for formula in fit_shrink(with_metrics(planted(), validation_loss=shapes[kind]), CONTEXT):
        json.dumps(formula.model_dump(mode="json"), allow_nan=False)


def test_an_interval_is_open_where_the_draws_have_no_minimum():
    draws = np.linspace(0.0, 1.0, 1001)
    closed = interval(0.5, draws, np.ones(1001, dtype=bool), 0.95)
    assert (closed.low, closed.high) == pytest.approx((0.025, 0.975))
    some = np.arange(1001) % 50 > 0
    assert interval(0.5, draws, some, 0.95).high > closed.high
    assert interval(0.5, draws, np.arange(1001) % 10 > 0, 0.95).high == math.inf


@pytest.mark.parametrize("name", ["depth^0.25, 5 budgets x 16 networks", "depth^0.7: depth shrinks faster"])
def test_intervals_cover_and_verdicts_are_true(name):
    """The short form of benchmarks/formula_coverage.py; slack: two standard errors."""
    scenario = next(scenario for scenario in SHRINK_SCENARIOS if scenario.name == name)
    result = tally(scenario, 40, seed=1)
    assert result.covered >= 0.92 - 0.085
    assert result.false <= 0.05 + 0.07
    assert result.decided >= 0.8
