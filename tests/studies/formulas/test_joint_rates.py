"""Joint laws of the best rate and batch: planted numbers come back, and what is not determined says what it lacks."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from api.plots.rate_families import rate_figure
from api.web.mathml import mathml
from studies.formulas.evaluation import evaluate
from studies.formulas.formula import Formula
from studies.formulas.learning_rate_batch.law import fit_learning_rate_batch
from studies.formulas.observations import FitContext, Observation
from studies.formulas.simulation.rate_surfaces import INSIDE, ONE_LENGTH, SurfaceScenario, planted_rate, tally_surfaces
from studies.formulas.simulation.surfaces import STEP_LAW_GRIDS, Ridge, SurfacePlan, plant_surfaces
from studies.starting_laws import joint_law

CONTEXT = FitContext(("1",), "validation_loss")
EXACT = SurfacePlan(rate_jitter=0.01, batch_jitter=0.01, cell_jitter=0.01, missing=0.0)
BATCHES = tuple(2.0**power for power in (16, 17, 18, 19, 20, 21))
SMALL = replace(EXACT, grids=STEP_LAW_GRIDS[::2], batches=BATCHES, rates=EXACT.rates[1:10:2])


def fitted(plan: SurfacePlan) -> dict[str, Formula]:
    return laws(plant_surfaces(plan, np.random.default_rng(3)))


def laws(rows: list[Observation]) -> dict[str, Formula]:
    return {law.variant: law for law in fit_learning_rate_batch(rows, CONTEXT)}


@pytest.fixture(scope="module")
def planted() -> dict[str, Formula]:
    return fitted(EXACT)


def test_planted_exponents_come_back(planted: dict[str, Formula]) -> None:
    found = {**planted["rate_at_best_batch"].coefficients, **planted["best_batch"].coefficients}
    for name, truth in (("a", -0.7), ("b", 0.3), ("e", 0.57)):
        assert found[name].estimate == pytest.approx(truth, abs=0.04)
        assert found[name].low <= truth <= found[name].high


def test_the_joint_law_gives_the_planted_rate_at_any_batch(planted: dict[str, Formula]) -> None:
    law = planted["joint_rate"]
    assert law.form in ("broken_power", "saturating")
    for batch in (2.0**16, 2.0**18, 2.0**21):
        point = {**INSIDE, "batch_tokens": batch}
        assert evaluate(law, point).estimate == pytest.approx(planted_rate(EXACT, point), rel=0.15)


def test_the_exponent_falls_window_by_window(planted: dict[str, Formula]) -> None:
    principal = planted[""]
    below, above = (principal.coefficients[f"r_{side}_best_batch"] for side in ("below", "above"))
    assert below.low > 0.3
    assert abs(above.estimate) < 0.15
    assert above.verdict == "refuted"
    slopes = [row["r"] for row in principal.evidence["exponent_by_window"]]
    assert max(np.diff(slopes)) < 0.05
    assert slopes[0] - slopes[-1] > 0.4


def test_every_law_can_be_stored_written_and_drawn(planted: dict[str, Formula]) -> None:
    for law in planted.values():
        again = Formula.model_validate(json.loads(law.model_dump_json()))
        assert mathml(again.latex)
        assert rate_figure(again)["data"]
    grids = rate_figure(planted["joint_rate"])["data"]
    assert len(grids) == 2 * len(STEP_LAW_GRIDS)
    assert {law.verdict for variant, law in planted.items() if variant} == {"determined"}


def test_a_saturating_law_is_found_where_it_is_identified() -> None:
    plan = replace(EXACT, grids=ONE_LENGTH, batch_jitter=0.0, ridge=Ridge(0.8, saturation=1.5))
    law = fitted(plan)[""]
    assert law.form == "saturating"
    found = law.coefficients
    assert found["alpha"].low <= 0.8 <= found["alpha"].high
    assert found["noise_batch_tokens"].low <= 1.5 * plan.middle_batch <= found["noise_batch_tokens"].high


def test_a_noise_scale_beyond_the_batches_is_not_claimed() -> None:
    plan = replace(EXACT, grids=ONE_LENGTH[:1], ridge=Ridge(0.8, saturation=8.0))
    assert fitted(plan)[""].form != "saturating"


def test_one_exponent_stays_a_power() -> None:
    found = fitted(replace(SMALL, ridge=Ridge(0.5, 0.5)))
    assert found[""].form == found["joint_rate"].form == "power"


def test_both_parameter_counts_get_laws_of_their_own() -> None:
    rows = plant_surfaces(SMALL, np.random.default_rng(3))
    both = [
        replace(row, metrics={**row.metrics, "total_parameters": 1.2 * row.metrics["non_embedding_parameters"]})
        for row in rows
    ]
    found = laws(both)
    assert set(found) == {
        "",
        "joint_rate",
        "rate_at_best_batch",
        "best_batch",
        "joint_rate_total_parameters",
        "rate_at_best_batch_total_parameters",
    }
    assert found["joint_rate_total_parameters"].size_convention == "total_parameters"
    assert "reference_total_parameters" in found["joint_rate_total_parameters"].coefficients
    assert len({law.id for law in found.values()}) == len(found)


def test_intervals_of_joint_laws_cover() -> None:
    """The short form of benchmarks/formula_coverage.py: 8 small studies, five numbers each."""
    plan = replace(SMALL, rate_jitter=0.06, batch_jitter=0.15, cell_jitter=0.04)
    tallies = tally_surfaces(SurfaceScenario("small", plan), 8, seed=1)
    covered = [tallies[name].covered for name in tallies if " of " in name and "form" not in name]
    assert len(covered) == 5
    assert np.mean(covered) >= 0.92 - 0.1


def test_grids_of_one_size_and_length_have_no_joint_law() -> None:
    assert set(fitted(replace(SMALL, grids=((5e8, 2e10),) * 3))) == {""}


@pytest.mark.parametrize(
    ("plan", "variant", "reason", "patch"),
    [
        (replace(SMALL, grids=STEP_LAW_GRIDS[:2]), "joint_rate", "add 1 grid", "proxy"),
        (replace(SMALL, grids=((2e8, 4e9), (4e8, 8e9), (8e8, 16e9), (16e8, 32e9))), "joint_rate", "together", "proxy"),
        (replace(SMALL, batches=BATCHES[:3]), "best_batch", "have the 4 batches", "inner"),
        (replace(SMALL, middle_batch=2.0**23), "best_batch", "above the largest in", "inner"),
    ],
)
def test_what_is_missing_is_said_and_supplied(plan: SurfacePlan, variant: str, reason: str, patch: str) -> None:
    law = fitted(plan)[variant]
    assert law.expression == ""
    assert any(reason in said for said in law.reasons)
    assert law.supply is not None
    assert patch in law.supply


def test_censored_rates_are_extended_on_their_side() -> None:
    plan = replace(SMALL, grids=STEP_LAW_GRIDS[:1], rates=tuple(2.0**-power for power in (5, 6, 7)))
    rows = [row for row in plant_surfaces(plan, np.random.default_rng(3)) if row.metrics.get("validation_loss", 9) < 9]
    (law,) = laws(rows).values()
    if law.expression == "":
        assert min(law.supply["inner"]["learning_rate"]) < 2.0**-7


def test_a_study_starts_from_its_joint_law(planted: dict[str, Formula]) -> None:
    law = joint_law(list(planted.values()))
    assert law is not None
    size, tokens = INSIDE["non_embedding_parameters"], INSIDE["train_tokens"]
    best = law.best_batch(size, tokens)
    assert best == pytest.approx(2.0**18.5, rel=0.2)
    for factor in (0.25, 1.0, 4.0):
        planted_there = planted_rate(EXACT, {**INSIDE, "batch_tokens": factor * best})
        assert law.best_rate(size, tokens, factor * best) == pytest.approx(planted_there, rel=0.15)
    assert math.isclose(law.best_batch(10 * size, tokens), best)
    assert joint_law([planted[""]]) is None
