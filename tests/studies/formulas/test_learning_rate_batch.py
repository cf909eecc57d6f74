import dataclasses
import json

import numpy as np
import pytest

from studies.formulas.evaluation import evaluate
from studies.formulas.fitting.grouping import grid_groups
from studies.formulas.formula import Formula
from studies.formulas.learning_rate_batch.law import fit_learning_rate_batch
from studies.formulas.observations import FitContext, Observation
from studies.formulas.registry import fit_all
from studies.formulas.simulation.planted import Bowl, RateBatchPlan, plant_rate_batch
from studies.records import TrialState

CONTEXT = FitContext(("study-7",), "validation_loss", revision=2)
QUIET = RateBatchPlan(bowl=Bowl(noise=0.001), jitter=0.01, missing=0.0)


def fitted(plan, context=CONTEXT, seed=0, edit=lambda rows: rows):
    return next(iter(fit_learning_rate_batch(edit(plant_rate_batch(plan, np.random.default_rng(seed))), context)), None)


def test_a_planted_law_with_three_columns_is_recovered():
    formula = fitted(QUIET)
    r = formula.coefficients["r"]
    assert formula.form == "power"
    assert formula.verdict == r.verdict == "recovered"
    assert r.low < 0.5 < r.high
    assert r.high - r.low < 0.1
    assert formula.id == "study-7-learning_rate_batch-r2"
    assert "undetermined" not in formula.statement


def test_another_exponent_is_refuted():
    assert fitted(dataclasses.replace(QUIET, exponent=0.2)).verdict == "refuted"


def test_at_another_size_the_law_only_agrees_or_differs():
    small = dataclasses.replace(QUIET, columns={"total_parameters": 1e6})
    assert fitted(small).verdict == "agrees_at_this_scale"
    assert fitted(dataclasses.replace(small, exponent=0.2)).verdict == "differs_at_this_scale"
    paper = dataclasses.replace(QUIET, columns={"total_parameters": 1e9})
    assert fitted(paper).verdict == "recovered"


@pytest.mark.parametrize(
    ("change", "verdict"), [({"purpose": "optimise"}, "exploratory"), ({"finished": False}, "interim")]
)
def test_adaptive_and_unfinished_studies_carry_no_verdict(change, verdict):
    formula = fitted(QUIET, dataclasses.replace(CONTEXT, **change))
    assert formula.verdict == formula.coefficients["r"].verdict == verdict


def test_two_exponents_contradict_the_power_law():
    formula = fitted(dataclasses.replace(QUIET, grids=3, exponent=0.57, exponent_above=0.0))
    assert formula.form == "broken_power"
    assert formula.verdict == "refuted"
    assert formula.coefficients["r"].estimate == pytest.approx(0.57, abs=0.05)
    assert formula.coefficients["r_high"].estimate == pytest.approx(0.0, abs=0.05)
    assert "contradicted" in formula.reasons[0]
    rivals = formula.evidence["rivals"]
    assert rivals["broken_power"] < rivals["power"]


def test_a_maximised_score_gives_the_same_law():
    def negate(rows):
        return [dataclasses.replace(row, metrics={k: -v for k, v in row.metrics.items()}) for row in rows]

    score = fitted(QUIET, dataclasses.replace(CONTEXT, direction="maximize"), edit=negate)
    assert score.coefficients["r"].estimate == pytest.approx(fitted(QUIET).coefficients["r"].estimate)


def test_rates_that_miss_the_minimum_leave_it_undetermined():
    low = dataclasses.replace(QUIET, rates=tuple(1e-5 * 2.0**step for step in range(5)))
    formula = fitted(low)
    assert formula.verdict == "undetermined"
    assert "further trials" in formula.reasons[0]


def test_two_batches_are_too_few():
    formula = fitted(dataclasses.replace(QUIET, batches=(2.0**14, 2.0**18)))
    assert formula.verdict == "undetermined"
    assert "add 1 batch" in formula.reasons[0]
    assert formula.coefficients["r"].estimate is None


def test_data_without_a_varied_batch_have_no_law():
    assert fitted(dataclasses.replace(QUIET, batches=(2.0**14,))) is None


def test_the_edge_does_not_bend_the_line():
    """Half of the smallest and of the largest batches have their best rate beyond the tried ones."""
    rates = tuple(0.003 * 2.0**step for step in (-2, -1, 0, 1, 2))
    plan = RateBatchPlan(exponent=0.7, grids=6, rates=rates, jitter=0.2)
    estimates = [fitted(plan, seed=seed).coefficients["r"].estimate for seed in range(8)]
    assert np.mean(estimates) == pytest.approx(0.7, abs=0.05)


def test_sizes_split_grids_and_steps_do_not():
    rows = []
    for size in (1e6, 2e6):
        for row in plant_rate_batch(QUIET, np.random.default_rng(int(size))):
            tokens = 1e8 + row.number % 7
            metrics = {**row.metrics, "non_embedding_parameters": size, "train_tokens": tokens}
            attributes = {"steps": round(tokens / row.parameters["batch_tokens"]), "note": f"run {row.number}"}
            rows.append(dataclasses.replace(row, metrics=metrics, attributes=attributes))
    groups, splitting = grid_groups(rows)
    assert splitting == ("non_embedding_parameters",)
    assert len(groups) == 2


def test_unnamed_columns_of_an_imported_table_split_grids():
    rows = []
    for label in ("125M", "350M"):
        planted = plant_rate_batch(QUIET, np.random.default_rng(len(label)))
        rows += [dataclasses.replace(row, attributes={"model": label}) for row in planted]
    assert grid_groups(rows)[1] == ("model",)


def test_what_differs_between_runs_of_one_config_splits_nothing():
    rows = []
    for seed in (0, 1):
        measured = {"seed": seed, "training_seconds": 10.0 + 5 * seed, "peak_memory_bytes": 10**8 * (1 + seed)}
        planted = plant_rate_batch(QUIET, np.random.default_rng(seed))
        rows += [dataclasses.replace(row, attributes=measured) for row in planted]
    assert grid_groups(rows) == ([rows], ())


def test_a_failed_run_without_metrics_stays_in_its_grid():
    rows = [
        dataclasses.replace(row, metrics={**row.metrics, "train_tokens": 1e9} if row.metrics else {})
        for row in plant_rate_batch(QUIET, np.random.default_rng(0))
    ]
    assert any(row.state is TrialState.FAIL for row in rows)
    assert len(grid_groups(rows)[0]) == 1


def test_a_design_without_repeated_architectures_is_pooled():
    generator = np.random.default_rng(5)
    rows: list[Observation] = []
    for index in range(24):
        depth, batch = int(generator.integers(2, 12)), 2.0 ** int(generator.integers(12, 17))
        plan = dataclasses.replace(QUIET, batches=(batch,), rate_at_middle=0.003 * (batch / 2**14) ** 0.5 * depth**-0.2)
        own = plant_rate_batch(plan, generator)
        rows += [
            dataclasses.replace(row, parameters={**row.parameters, "depth": depth, "ffn_ratio": 1 + index / 10})
            for row in own
        ]
    (formula,) = fit_learning_rate_batch(rows, CONTEXT)
    assert formula.coefficients["r"].estimate == pytest.approx(0.5, abs=0.03)
    assert any("covariates" in reason for reason in formula.reasons)


@pytest.mark.parametrize("above", [None, 0.0])
def test_a_formula_is_evaluated_from_its_json_alone(above):
    symmetric = dataclasses.replace(QUIET, exponent_above=above, bowl=Bowl(noise=0.001, asymmetry=0.0))
    formula = fitted(symmetric)
    restored = Formula.model_validate(json.loads(formula.model_dump_json()))
    at = evaluate(restored, {"batch_tokens": 2.0**16})
    assert at.estimate == pytest.approx(0.003 * 2.0 ** (-1 * 0.5), rel=0.05)
    assert at.low < at.estimate < at.high
    assert at.extrapolated == ()
    assert evaluate(restored, {"batch_tokens": 2.0**24}).extrapolated == ("batch_tokens",)
    reference = restored.coefficients["reference_batch_tokens"].estimate
    assert evaluate(restored, {"batch_tokens": reference}).estimate == pytest.approx(
        restored.coefficients["c"].estimate
    )
    middle = min(restored.evidence["curve"], key=lambda point: abs(np.log(point["batch_tokens"] / 2**17)))
    expected = evaluate(restored, {"batch_tokens": middle["batch_tokens"]})
    assert (middle["learning_rate"], middle["low"]) == pytest.approx((expected.estimate, expected.low))


def test_every_observation_is_in_the_evidence():
    formula = fitted(QUIET)
    points = formula.evidence["points"]
    assert sum(point["runs"] for point in points) == formula.observations
    assert len(formula.evidence["residuals"]) == sum(point["used"] for point in points)
    assert fit_all([], CONTEXT) == []
