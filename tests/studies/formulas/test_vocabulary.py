import dataclasses
import json

import numpy as np
import pytest

from model.errors import InvalidInput
from studies.formulas.evaluation import evaluate
from studies.formulas.formula import Formula
from studies.formulas.observations import FitContext
from studies.formulas.registry import fit_all
from studies.formulas.simulation.coverage import tally
from studies.formulas.simulation.planted import Bowl
from studies.formulas.simulation.vocabularies import (
    VOCABULARY_SCENARIOS,
    VocabularyPlan,
    bowl_over_vocabulary,
    plant_vocabulary,
)
from studies.formulas.vocabulary.law import fit_vocabulary
from studies.formulas.vocabulary.rule import find_rule
from studies.suggestions import suggested_spec

CONTEXT = FitContext(("study-7",), "bits_per_byte")
QUIET = VocabularyPlan(bowl=Bowl(noise=0.001), jitter=0.001, missing=0.0)
RISING = dataclasses.replace(QUIET, cost=lambda size: 0.02 * np.log2(size / 1024))


def planted(plan=QUIET, seed=0):
    return plant_vocabulary(plan, np.random.default_rng(seed))


def fitted(plan=QUIET, context=CONTEXT, seed=0, edit=lambda row: row):
    return fit_vocabulary([edit(row) for row in planted(plan, seed)], context)[0]


def changed(**metrics):
    """An edit that sets metrics; None takes one away."""

    def edit(row):
        values = {**row.metrics, **{name: of(row) if callable(of) else of for name, of in metrics.items()}}
        return dataclasses.replace(row, metrics={name: value for name, value in values.items() if value is not None})

    return edit


def test_both_answers_stand_side_by_side():
    formula = fitted()
    found = formula.coefficients
    assert found["best_vocabulary"].low < 4096 < found["best_vocabulary"].high
    assert found["best_vocabulary"].high / found["best_vocabulary"].low < 1.5
    assert found["rule_vocabulary"].estimate == 6000
    truth = QUIET.cost(6000)
    assert found["rule_regret"].low <= truth <= found["rule_regret"].high
    assert found["rule_regret"].high < 0.02
    assert formula.evidence["shape"] == "U"
    assert "best at" in formula.statement
    assert "rule picks 6000" in formula.statement


def test_the_claim_is_about_the_papers_scale():
    small = fitted()
    assert small.verdict == small.coefficients["rule_against_largest"].verdict == "agrees_at_this_scale"
    large = dataclasses.replace(QUIET, total_parameters=1e9)
    assert fitted(large).verdict == "recovered"
    worse = dataclasses.replace(large, cost=bowl_over_vocabulary(32768.0, 0.02))
    assert fitted(worse).verdict == "refuted"


def test_equal_tokens_alone_compare_nothing():
    """At equal tokens the larger vocabulary has read more text."""
    edit = changed(
        train_tokens=1e7,
        train_bytes=lambda row: 1e7 * np.log2(row.parameters["vocabulary_size"]),
        train_flops=lambda row: 6e14 * (1 + row.number % 7 / 50),
    )
    formula = fitted(edit=edit)
    assert formula.verdict == "undetermined"
    assert "neither bytes nor FLOPs of training are equal" in formula.reasons[0]
    assert formula.supply["proxy"]["train_tokens"] is None
    assert formula.supply["proxy"]["train_bytes"] > 0
    with pytest.raises(InvalidInput, match="no fitted numbers"):
        evaluate(formula, {"vocabulary_size": 2048})


def test_equal_tokens_are_refused_even_where_flops_are_nearly_equal():
    edit = changed(
        train_tokens=1e7,
        train_bytes=lambda row: 1e7 * np.log2(row.parameters["vocabulary_size"]),
        train_flops=lambda row: 6e14 * (1 + row.number % 5 / 200),
    )
    assert "FLOPs" in fitted(edit=edit).reasons[0]


def test_equal_flops_are_a_ground():
    edit = changed(
        train_bytes=lambda row: 1e7 * np.log2(row.parameters["vocabulary_size"]),
        train_flops=lambda row: 6e14 * (1 + row.number % 3 / 500),
    )
    formula = fitted(edit=edit)
    assert formula.evidence["equal_length"] == "train_flops"
    assert formula.verdict == "agrees_at_this_scale"


def test_unequal_sizes_are_refused():
    formula = fitted(edit=changed(total_parameters=lambda row: 1e8 * row.parameters["vocabulary_size"] / 4096))
    assert "size is not equal" in formula.reasons[0]
    assert formula.supply["constraints"]["total_parameters"]["solve_for"] == "width"


def test_each_of_several_sizes_has_a_law():
    small = planted(dataclasses.replace(QUIET, total_parameters=2e7, cost=bowl_over_vocabulary(2048.0, 0.02)))
    few = planted(dataclasses.replace(QUIET, total_parameters=1e9, sizes=(1024, 2048)))
    principal, smaller, undetermined = fit_vocabulary([*small, *planted(), *few], CONTEXT)
    assert [law.variant == "" for law in (principal, smaller, undetermined)] == [True, False, False]
    assert principal.coefficients["best_vocabulary"] == fitted().coefficients["best_vocabulary"]
    best = smaller.coefficients["best_vocabulary"]
    assert best.low < 2048 < best.high
    assert "add 2" in undetermined.reasons[0]
    assert len({law.id for law in (principal, smaller, undetermined)}) == 3


@pytest.mark.parametrize(
    "plan",
    [
        dataclasses.replace(QUIET, rates=(3e-3,)),
        dataclasses.replace(QUIET, sizes=(1024, 2048)),
        dataclasses.replace(QUIET, covering_vocabulary=30_000, total_parameters=2e7),
        dataclasses.replace(QUIET, covering_vocabulary=32_768, total_parameters=1e9),
        dataclasses.replace(QUIET, cost=bowl_over_vocabulary(14_000.0, 0.005), jitter=0.02),
        dataclasses.replace(QUIET, rates=(3e-4, 4e-4, 6e-4)),
    ],
    ids=["one rate", "two sizes", "no solution", "rule is the largest", "across", "edge"],
)
def test_what_would_decide_is_a_spec(plan):
    formula = fitted(plan)
    assert formula.verdict == "undetermined"
    spec = {
        "name": "vocabularies",
        "space": {"vocabulary_size": {"type": "int", "low": 512, "high": 4096, "log": True}},
        "inner": {"learning_rate": [3e-3]},
        "constraints": {"total_parameters": {"target": 100_000_000}},
        "objectives": [{"metric": "bits_per_byte", "direction": "minimize"}],
        "proxy": {"train_bytes": 1_000_000},
        "max_trial_count": 4,
    }
    suggested = suggested_spec(spec, formula, None)
    assert suggested != spec
    assert suggested["max_trial_count"] >= 4


def test_a_loss_by_token_is_refused_and_bits_per_byte_are_taken_where_they_are():
    loss = dataclasses.replace(CONTEXT, metric="validation_loss")
    only_loss = changed(validation_loss=lambda row: row.metrics.get("bits_per_byte"), bits_per_byte=None)
    refused = fitted(context=loss, edit=only_loss)
    assert "counted by token" in refused.reasons[0]
    assert refused.supply["objectives"][0]["metric"] == "bits_per_byte"
    both = fitted(context=loss, edit=changed(validation_loss=lambda row: row.parameters["vocabulary_size"] / 1000))
    assert both.held_out_unit == "bits_per_byte"
    assert both.coefficients == fitted().coefficients


def test_without_coverage_the_optimum_is_all_that_is_told():
    formula = fitted(dataclasses.replace(QUIET, covering_vocabulary=None))
    assert "rule_vocabulary" not in formula.coefficients
    assert formula.coefficients["affordable_vocabulary"].estimate > 4096
    assert formula.coefficients["best_vocabulary"].estimate is not None
    assert formula.verdict == "undetermined"
    assert "do not tell coverage" in formula.reasons[0]


def test_a_rule_without_a_solution_asks_for_larger_networks():
    formula = fitted(dataclasses.replace(QUIET, covering_vocabulary=30_000, total_parameters=2e7))
    assert "no vocabulary satisfies the paper's rule" in formula.reasons[0]
    assert formula.supply["constraints"]["total_parameters"]["target"] > 4e7
    assert "rule_regret" not in formula.coefficients


def test_coverage_of_compressed_tokenizers_is_interpolated():
    coverage = {1024: 0.60, 2048: 0.75, 4096: 0.88, 8192: 0.94, 16384: 0.98, 32768: 1.0}

    def told(row):
        attributes = {"tokenizer_coverage": coverage[row.parameters["vocabulary_size"]]}
        return dataclasses.replace(row, attributes=attributes)

    rule = find_rule([told(row) for row in planted()], 1024, 32768)
    assert 4096 < rule.vocabulary < 8192
    none = find_rule(
        [dataclasses.replace(told(row), attributes={"tokenizer_coverage": 0.5}) for row in planted()], 1, 2
    )
    assert none.vocabulary is None
    assert "no vocabulary tried covers" in none.problem


def test_one_rate_gives_no_verdict_and_asks_for_more():
    formula = fitted(dataclasses.replace(QUIET, rates=(3e-3,)))
    assert formula.verdict == "undetermined"
    assert "not profiled" in formula.reasons[0]
    assert formula.supply["inner"]["learning_rate"] == [1.5e-3, 3e-3, 6e-3]
    assert formula.supply["max_trial_count"] == 36


def test_few_vocabularies_ask_for_more():
    formula = fitted(dataclasses.replace(QUIET, sizes=(1024, 2048)))
    assert "add 2" in formula.reasons[0]
    choices = formula.supply["space"]["vocabulary_size"]["choices"]
    assert len(choices) == 6
    assert choices == sorted(choices)


def test_a_best_vocabulary_beyond_the_tried_ones_is_one_sided():
    best = fitted(RISING).coefficients["best_vocabulary"]
    assert best.low is None
    assert fitted(RISING).evidence["shape"] == "monotone increasing"


def test_it_is_evaluated_from_its_json_alone():
    formula = Formula.model_validate(json.loads(fitted().model_dump_json()))
    low, high = evaluate(formula, {"vocabulary_size": 4096}), evaluate(formula, {"vocabulary_size": 32768})
    assert high.estimate - low.estimate == pytest.approx(0.02 * 9, abs=0.02)
    assert evaluate(formula, {"vocabulary_size": 1e6}).extrapolated == ("vocabulary_size",)
    assert formula.evidence["rivals"]["quadratic_log_vocabulary"] < formula.evidence["rivals"]["linear_log_vocabulary"]
    assert formula.held_out_error == formula.evidence["rivals"]["reported"] < 0.01


def test_a_maximised_score_is_the_same_law_upside_down():
    score = dataclasses.replace(CONTEXT, metric="score", direction="maximize")
    edit = changed(score=lambda row: -row.metrics["bits_per_byte"] if row.metrics else None, bits_per_byte=None)
    mirrored, plain = fitted(context=score, edit=edit), fitted()
    assert mirrored.verdict == plain.verdict
    assert mirrored.evidence["shape"] == "inverted U"
    assert mirrored.coefficients["best_vocabulary"].estimate == plain.coefficients["best_vocabulary"].estimate
    assert mirrored.coefficients["rule_regret"].estimate == plain.coefficients["rule_regret"].estimate
    assert mirrored.coefficients["level"].estimate == -plain.coefficients["level"].estimate


@pytest.mark.parametrize(
    ("change", "verdict"), [({"purpose": "optimise"}, "exploratory"), ({"finished": False}, "interim")]
)
def test_adaptive_and_unfinished_studies_carry_no_verdict(change, verdict):
    assert fitted(context=dataclasses.replace(CONTEXT, **change)).verdict == verdict


def test_one_vocabulary_is_no_law():
    rows = planted(dataclasses.replace(QUIET, sizes=(1024,)))
    assert not [formula for formula in fit_all(rows, CONTEXT) if formula.kind == "vocabulary"]


@pytest.mark.parametrize("name", ["regret, skewed 0.4", "rule equals the largest"])
def test_intervals_cover_and_verdicts_are_true(name):
    """Short form of benchmarks/formula_coverage.py, about two standard errors of shares over 20 studies apart."""
    scenario = next(scenario for scenario in VOCABULARY_SCENARIOS if scenario.name == name)
    result = tally(scenario, 20, seed=1)
    assert result.covered >= 0.92 - 0.12
    assert result.false <= 0.05 + 0.10
    assert result.decided >= 0.8
