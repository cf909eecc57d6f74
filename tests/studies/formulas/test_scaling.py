import dataclasses
import json
import math

import numpy as np
import pytest

from studies.formulas.evaluation import evaluate
from studies.formulas.observations import FitContext, Observation
from studies.formulas.registry import fit_all
from studies.formulas.scaling.cells import build_table
from studies.formulas.scaling.estimator import estimate
from studies.formulas.scaling.forms import CHINCHILLA, Data
from studies.formulas.scaling.law import fit_scaling
from studies.formulas.simulation.coverage import tally
from studies.formulas.simulation.planted_scaling import ScalingPlan, plant_scaling
from studies.formulas.simulation.scaling_scenarios import SCALING_SCENARIOS
from studies.records import TrialState
from studies.suggestions import suggested_spec

CONTEXT = FitContext(("7",), "validation_loss")
QUIET = ScalingPlan(noise=0.0, jitter=0.0, missing=0.0)
NOISY = ScalingPlan(missing=0.0)


def planted(plan=QUIET, seed=0):
    return plant_scaling(plan, np.random.default_rng(seed))


def with_values(rows, **more):
    """The rows with further metrics or parameters, each a function of the row."""
    changed = []
    for row in rows:
        metrics = {**row.metrics, **{name: value(row) for name, value in more.items()}}
        changed.append(dataclasses.replace(row, metrics=metrics))
    return changed


def test_a_noiseless_law_is_found():
    formula = fit_scaling(planted(), CONTEXT)[0]
    found = {name: value.estimate for name, value in formula.coefficients.items()}
    assert found["E"] == pytest.approx(1.8, abs=1e-4)
    assert found["alpha"] == pytest.approx(0.35, abs=1e-4)
    assert found["beta"] == pytest.approx(0.37, abs=1e-4)
    assert found["A"] == pytest.approx(0.9 * 1e6**0.35, rel=1e-3)
    assert formula.held_out_error < 1e-4
    assert formula.verdict == "agrees_at_this_scale"


def test_outliers_hardly_move_the_estimate():
    """Least squares would follow them; the Huber loss grows linearly."""
    rows = planted(dataclasses.replace(NOISY, outliers=0.15, jitter=0.0))
    data = build_table(rows, CONTEXT, "total_parameters").data
    robust = estimate(CHINCHILLA, data).parameters
    assert robust[2] == pytest.approx(0.35, abs=0.06)
    assert math.exp(robust[0]) == pytest.approx(1.8, abs=0.08)


def test_the_best_config_spends_the_compute_and_no_other_is_better():
    law, size, length = fit_scaling(planted(NOISY), CONTEXT)
    assert [formula.variant for formula in (law, size, length)] == ["", "optimal_size", "optimal_length"]
    compute = 3e14
    best_size, best_length = (evaluate(formula, {"compute": compute}).estimate for formula in (size, length))
    assert 6 * best_size * best_length == pytest.approx(compute, rel=1e-6)

    def loss(factor):
        return evaluate(law, {"total_parameters": best_size * factor, "train_tokens": best_length / factor}).estimate

    assert loss(1.0) < loss(1.1)
    assert loss(1.0) < loss(1 / 1.1)
    ratio = law.coefficients["tokens_per_parameter"].estimate
    at = law.coefficients["reference_compute"].estimate
    both = [evaluate(formula, {"compute": at}).estimate for formula in (size, length)]
    assert both[1] / both[0] == pytest.approx(ratio, rel=1e-6)


def test_intervals_from_the_json_are_those_of_the_frontier():
    law = fit_scaling(planted(NOISY), CONTEXT)[0]
    row = law.evidence["curve"][12]
    at = evaluate(law, {name: row[name] for name in ("total_parameters", "train_tokens")})
    assert [at.estimate, at.low, at.high] == pytest.approx(
        [row[name] for name in ("validation_loss", "low", "high")], rel=1e-6
    )


def test_each_count_of_parameters_has_a_law_and_the_principal_one_is_of_the_total():
    rows = with_values(planted(), non_embedding_parameters=lambda row: row.metrics["total_parameters"] - 60_000)
    formulas = fit_scaling(rows, CONTEXT)
    conventions = {formula.variant: formula.size_convention for formula in formulas if "optimal" not in formula.variant}
    assert conventions == {"": "total_parameters", "non_embedding_parameters": "non_embedding_parameters"}
    alone = [dataclasses.replace(row, metrics={**row.metrics, "total_parameters": math.nan}) for row in rows]
    assert fit_scaling(alone, CONTEXT)[0].size_convention == "non_embedding_parameters"


def test_the_learning_rate_is_profiled_out():
    """Large networks have lower best rates here, so that the losses at one rate follow another exponent."""
    plan = dataclasses.replace(QUIET, rates=(1.5e-3, 3e-3, 6e-3, 1.2e-2), noise=0.001)
    rows = planted(plan)
    formula = fit_scaling(rows, CONTEXT)[0]
    assert formula.coefficients["alpha"].estimate == pytest.approx(0.35, abs=0.03)
    assert formula.verdict == "agrees_at_this_scale"
    highest = [row for row in rows if row.parameters["learning_rate"] == 1.2e-2]
    assert abs(fit_scaling(highest, CONTEXT)[0].coefficients["alpha"].estimate - 0.35) > 0.04


def test_rates_that_differ_between_pairs_are_no_ground_for_a_verdict():
    generator = np.random.default_rng(0)
    rows = [
        dataclasses.replace(row, parameters={"learning_rate": float(generator.choice([1e-3, 2e-3, 4e-3]))})
        for row in planted(NOISY)
    ]
    formula = fit_scaling(rows, CONTEXT)[0]
    assert formula.verdict == "undetermined"
    assert "fewer than three" in formula.reasons[0]
    assert len(formula.supply["inner"]["learning_rate"]) == 4


def test_of_several_configs_of_a_size_and_length_the_best_counts():
    rows = planted()
    worse = [
        dataclasses.replace(
            row,
            parameters={"batch_tokens": 4096},
            metrics={**row.metrics, "validation_loss": row.metrics["validation_loss"] + 0.1},
        )
        for row in rows
    ]
    better = [dataclasses.replace(row, parameters={"batch_tokens": 1024}) for row in rows]
    formula = fit_scaling([*worse, *better], CONTEXT)[0]
    assert formula.coefficients["E"].estimate == pytest.approx(1.8, abs=1e-3)
    assert "48 configs" in formula.reasons[-1]


def test_lengths_of_several_vocabularies_are_bytes():
    rows = with_values(
        planted(),
        train_bytes=lambda row: 3 * row.metrics["train_tokens"],
        bits_per_byte=lambda row: row.metrics["validation_loss"],
    )
    mixed = [
        dataclasses.replace(row, parameters={"vocabulary_size": 512 if index % 2 else 1024})
        for index, row in enumerate(rows)
    ]
    per_byte = fit_scaling(mixed, FitContext(("7",), "bits_per_byte"))[0]
    assert "train_bytes" in per_byte.expression
    assert per_byte.evidence["compute_factor"] == pytest.approx(2.0)
    assert per_byte.coefficients["E"].estimate == pytest.approx(1.8, abs=1e-3)
    assert "bytes_per_parameter" in per_byte.coefficients
    per_token = fit_scaling(mixed, CONTEXT)[0]
    assert per_token.verdict == "undetermined"
    assert "not comparable" in " ".join(per_token.reasons)


def test_too_little_span_says_what_is_missing_and_offers_it():
    formula = fit_scaling(planted(dataclasses.replace(NOISY, span=6.0)), CONTEXT)[0]
    assert formula.verdict == "undetermined"
    assert formula.coefficients["alpha"].estimate is not None
    assert "spans a factor of 6" in formula.reasons[0]
    assert formula.supply["space"]["width"]["type"] == "categorical"
    assert formula.supply["proxy"]["train_bytes"] is None
    spec = {
        "version": 1,
        "name": "sizes",
        "space": {"depth": {"type": "int", "low": 2, "high": 8}},
        "constraints": {"total_parameters": {"target": 1_000_000}},
        "inner": {"seed": [0]},
        "proxy": {"train_bytes": 1_000_000},
        "max_trial_count": 12,
    }
    offered = suggested_spec(spec, formula, None)
    assert offered["proxy"]["train_tokens"] > 0
    widths = offered["space"]["width"]["choices"]
    assert max(widths) ** 2 > 16 * min(widths) ** 2
    assert offered["max_trial_count"] == 4 * len(widths)


def test_one_length_and_tied_lengths_are_not_fitted():
    rows = planted()
    lengths = sorted({row.metrics["train_tokens"] for row in rows})
    single = fit_scaling([row for row in rows if row.metrics["train_tokens"] == lengths[0]], CONTEXT)[0]
    assert not single.expression
    assert "1 values of train_tokens" in single.reasons[0]
    assert "proxy" in single.supply
    assert "space" not in single.supply
    tied = with_values(rows, train_tokens=lambda row: 20 * row.metrics["total_parameters"])
    assert "cannot tell alpha from beta" in " ".join(fit_scaling(tied, CONTEXT)[0].reasons)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: with_values(rows, total_parameters=lambda row: 1e6, train_tokens=lambda row: 1e7),
        lambda rows: [dataclasses.replace(row, metrics={"validation_loss": 2.0}) for row in rows],
        lambda rows: [],
    ],
)
def test_the_law_does_not_apply_where_sizes_and_lengths_are_alike_or_unknown(change):
    assert fit_scaling(change(planted()), CONTEXT) == ()


def test_the_law_does_not_apply_to_speeds():
    assert fit_scaling(planted(), FitContext(("7",), "decode_tokens_per_second", "maximize")) == ()


@pytest.mark.parametrize("kind", ["constant", "rising", "negative", "huge", "noise"])
def test_any_losses_give_numbers_that_json_can_hold(kind):
    generator = np.random.default_rng(0)
    shapes = {
        "constant": lambda row: 3.0,
        "rising": lambda row: row.metrics["total_parameters"] ** 0.3,
        "negative": lambda row: -1.0,
        "huge": lambda row: row.metrics["validation_loss"] * 1e25,
        "noise": lambda row: float(generator.uniform(1, 1000)),
    }
    rows = with_values(planted(), validation_loss=shapes[kind])
    for formula in fit_all(rows, CONTEXT):
        json.dumps(formula.model_dump(mode="json"), allow_nan=False)
        if kind in ("constant", "rising"):
            assert formula.verdict == "undetermined"


def test_adaptive_and_unfinished_studies_carry_no_verdict():
    rows = planted()
    assert fit_scaling(rows, dataclasses.replace(CONTEXT, purpose="optimise"))[0].verdict == "exploratory"
    assert fit_scaling(rows, dataclasses.replace(CONTEXT, finished=False))[0].verdict == "interim"


def test_failed_runs_are_left_out():
    rows = planted()
    failed = [Observation(1000, TrialState.FAIL, {}, {}, {}), dataclasses.replace(rows[0], state=TrialState.PRUNED)]
    assert fit_scaling([*rows, *failed], CONTEXT)[0].observations == len(rows)


def test_published_sizes_reach_a_verdict_in_the_papers_domain():
    plan = dataclasses.replace(NOISY, middle=(1e9, 2e10), span=64.0, jitter=0.0)
    assert fit_scaling(planted(plan), CONTEXT)[0].verdict == "recovered"
    kaplan = dataclasses.replace(plan, alpha=0.2, beta=0.6)
    assert fit_scaling(planted(kaplan), CONTEXT)[0].verdict == "refuted"


def test_an_interval_across_the_region_asks_for_more_trials():
    rows = planted(dataclasses.replace(NOISY, noise=0.02, jitter=0.02))
    formula = fit_scaling(rows, CONTEXT)[0]
    assert formula.verdict == "undetermined"
    assert formula.supply["max_trial_count"] > len(rows)


def test_data_are_centred():
    data = Data.of(np.array([1e6, 4e6]), np.array([1e7, 1e8]), np.array([3.0, 2.0]))
    assert data.size.sum() == pytest.approx(0)
    assert data.only(np.array([True, False])).size_centre == data.size_centre


@pytest.mark.parametrize(("name", "decided"), [("a=0.51, no jitter", 0.8), ("a=0.51, checkpoints of 8 runs", 0.0)])
def test_intervals_cover_and_verdicts_are_true(name, decided):
    """The short form of benchmarks/formula_coverage.py; slack: two standard errors."""
    scenario = next(scenario for scenario in SCALING_SCENARIOS if scenario.name == name)
    result = tally(scenario, 25, seed=1)
    assert result.covered >= 0.92 - 0.11
    assert result.false <= 0.05 + 0.09
    assert result.decided >= decided
