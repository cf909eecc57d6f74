import dataclasses
import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from model.errors import InvalidInput
from studies.formulas.depth_width.law import fit_depth_width
from studies.formulas.evaluation import evaluate
from studies.formulas.fitting.shapes import spearman
from studies.formulas.formula import Formula
from studies.formulas.observations import FitContext, Observation
from studies.formulas.registry import fit_all
from studies.formulas.simulation.planted import Bowl, DepthPlan, bowl_over_depth, falling_over_depth, plant_depth_width
from studies.records import TrialState

CONTEXT = FitContext(("study-7",), "validation_loss")
QUIET = DepthPlan(bowl=Bowl(noise=0.001), jitter=0.002, missing=0.0)
FALLING = dataclasses.replace(QUIET, cost=falling_over_depth(0.02))


def fitted(plan, context=CONTEXT, seed=0, edit=lambda rows: rows):
    return next(iter(fit_depth_width(edit(plant_depth_width(plan, np.random.default_rng(seed))), context)), None)


def test_a_planted_u_is_named_with_its_optimum():
    formula = fitted(QUIET)
    best = formula.coefficients["best_depth"]
    assert formula.evidence["shape"] == "U"
    assert formula.form == "quadratic_log_depth"
    assert best.low < 5 < best.high
    assert best.high / best.low < 1.5
    assert formula.verdict == "differs_at_this_scale"
    assert formula.coefficients["depth_effect"].verdict == "undetermined"
    assert "up to there" in formula.reasons[0]


@pytest.mark.parametrize(
    ("strength", "shape", "verdict"),
    [(0.02, "monotone decreasing", "agrees_at_this_scale"), (-0.02, "monotone increasing", "differs_at_this_scale")],
)
def test_monotone_relations(strength, shape, verdict):
    formula = fitted(dataclasses.replace(QUIET, cost=falling_over_depth(strength)))
    effect = formula.coefficients["depth_effect"]
    assert formula.evidence["shape"] == shape
    assert formula.verdict == verdict
    assert effect.low < -strength < effect.high
    best = formula.coefficients["best_depth"]
    assert (best.high if strength > 0 else best.low) is None


def test_at_the_papers_scale_the_claim_is_recovered():
    plan = dataclasses.replace(FALLING, architectures=30, depths=(9, 40), budget=1e9, vocabularies=(48_000,))
    assert fitted(plan).verdict == "recovered"
    rising = dataclasses.replace(plan, cost=falling_over_depth(-0.02))
    assert fitted(rising).verdict == "refuted"


def test_a_u_at_the_papers_scale_refutes_nothing():
    """The paper has a knee at 20 layers itself."""
    scale = dataclasses.replace(QUIET, architectures=30, depths=(9, 40), budget=1e9, vocabularies=(48_000,))
    formula = fitted(dataclasses.replace(scale, cost=bowl_over_depth(20.0, 0.05)))
    assert formula.evidence["shape"] == "U"
    assert formula.verdict == "undetermined"


def test_ratio_is_a_contrast_of_its_own():
    formula = fitted(dataclasses.replace(QUIET, ratio_effect=0.05))
    ratio = formula.coefficients["ratio_effect"]
    assert ratio.estimate == pytest.approx(0.05, abs=0.005)
    assert ratio.verdict == "differs_at_this_scale"
    assert fitted(QUIET).coefficients["ratio_effect"].verdict == "agrees_at_this_scale"


def test_best_rates_that_drift_with_depth_do_not_make_a_trend():
    """At one common rate the drift looks like an effect of depth; profiled, it does not."""
    flat = dataclasses.replace(QUIET, cost=falling_over_depth(0.0), rate_drift=-0.6, rates=DepthPlan().rates)
    profiled = fitted(flat).coefficients["depth_effect"]
    assert abs(profiled.estimate) < 0.006

    def one_rate(rows):
        return [row for row in rows if row.parameters["learning_rate"] == 8e-3]

    single = fitted(flat, edit=one_rate)
    assert abs(single.coefficients["depth_effect"].estimate) > 0.01
    assert single.verdict == "undetermined"
    assert "not profiled" in single.reasons[0]


def test_unequal_budgets_are_refused():
    def grow(rows):
        return [
            dataclasses.replace(row, metrics={**row.metrics, "total_parameters": 1e6 * row.parameters["depth"]})
            for row in rows
        ]

    formula = fitted(QUIET, edit=grow)
    assert formula.verdict == "undetermined"
    assert "budget is not equal" in formula.reasons[0]
    assert "depth_slope" not in formula.coefficients
    with pytest.raises(InvalidInput, match="no fitted numbers"):
        evaluate(formula, {"depth": 4})


def test_a_budget_of_non_embedding_parameters_will_do():
    def rename(rows):
        return [
            dataclasses.replace(row, metrics={**row.metrics, "non_embedding_parameters": 8e5}, attributes={})
            for row in rows
        ]

    def drop_total(rows):
        return [
            dataclasses.replace(row, metrics={k: v for k, v in row.metrics.items() if k != "total_parameters"})
            for row in rename(rows)
        ]

    assert fitted(QUIET, edit=drop_total).size_convention == "non_embedding_parameters"
    assert fitted(QUIET).size_convention == "total_parameters"


def test_few_architectures_say_what_is_missing():
    formula = fitted(dataclasses.replace(QUIET, architectures=3))
    assert formula.verdict == "undetermined"
    assert "further trials" in formula.reasons[0]


def test_rates_all_too_low_give_no_verdict():
    low = dataclasses.replace(FALLING, rates=(2e-4, 4e-4, 8e-4))
    formula = fitted(low)
    assert formula.verdict == "undetermined"
    assert "high edge" in formula.reasons[0]


@pytest.mark.parametrize(
    ("change", "verdict"), [({"purpose": "optimise"}, "exploratory"), ({"finished": False}, "interim")]
)
def test_adaptive_and_unfinished_studies_carry_no_verdict(change, verdict):
    formula = fitted(FALLING, dataclasses.replace(CONTEXT, **change))
    verdicts = {value.verdict for value in formula.coefficients.values() if value.verdict is not None}
    assert verdicts == {formula.verdict} == {verdict}


def test_a_maximised_score_mirrors_the_law():
    def negate(rows):
        flipped = {"validation_loss": -1.0}
        return [
            dataclasses.replace(row, metrics={k: flipped.get(k, 1.0) * v for k, v in row.metrics.items()})
            for row in rows
        ]

    score = fitted(FALLING, dataclasses.replace(CONTEXT, direction="maximize"), edit=negate)
    loss = fitted(FALLING)
    assert score.verdict == loss.verdict == "agrees_at_this_scale"
    assert score.evidence["shape"] == "monotone increasing"
    assert score.coefficients["depth_effect"].estimate == pytest.approx(-loss.coefficients["depth_effect"].estimate)
    assert score.coefficients["spearman_depth"] == loss.coefficients["spearman_depth"]
    assert evaluate(score, {"depth": 4}).estimate == pytest.approx(-evaluate(loss, {"depth": 4}).estimate)


def test_a_formula_is_evaluated_from_its_json_alone():
    formula = Formula.model_validate(json.loads(fitted(QUIET).model_dump_json()))
    best, deep = evaluate(formula, {"depth": 5}), evaluate(formula, {"depth": 14})
    assert deep.estimate - best.estimate == pytest.approx(0.025 * np.log2(14 / 5) ** 2, abs=0.015)
    assert best.low < best.estimate < best.high
    assert evaluate(formula, {"depth": 64}).extrapolated == ("depth",)


def test_rank_correlations_follow_the_score():
    rows = plant_depth_width(FALLING, np.random.default_rng(0))
    found = fit_depth_width(rows, CONTEXT)[0].coefficients
    assert found["spearman_depth"].estimate > 0.5
    assert found["spearman_width"].estimate < 0
    interval = spearman(np.arange(30.0), np.sin(np.arange(30.0)), 0.95)
    assert interval.estimate == pytest.approx(spearmanr(np.arange(30), np.sin(np.arange(30))).statistic)
    assert -1 < interval.low < interval.estimate < interval.high < 1


def test_a_saturating_relation_is_not_a_u():
    plan = dataclasses.replace(QUIET, cost=falling_over_depth(0.1, 1.0), jitter=0.01)
    shapes = [fitted(plan, seed=seed).evidence["shape"] for seed in range(10)]
    assert shapes.count("U") <= 1


def test_a_u_whose_best_is_beyond_the_data_has_an_open_end():
    best = fitted(dataclasses.replace(QUIET, cost=bowl_over_depth(40.0, 0.02))).coefficients["best_depth"]
    assert best.high is None
    assert best.low > 8


def test_data_without_a_varied_depth_have_no_law():
    row = Observation(0, TrialState.COMPLETE, {"depth": 4, "learning_rate": 1e-3}, {"validation_loss": 2.0}, {})
    assert fit_all([row, row], CONTEXT) == []
