import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from model.errors import InvalidInput
from studies.formulas.comparisons.kinds import INHERITED, MULTIPLE_ROUNDS, identifier
from studies.formulas.comparisons.law import fit_inheritance, fit_initialization, fit_multiple_rounds
from studies.formulas.comparisons.pairs import holm
from studies.formulas.evaluation import evaluate
from studies.formulas.expression import names_of
from studies.formulas.formula import Formula
from studies.formulas.observations import FitContext, Observation
from studies.formulas.registry import fit_all
from studies.formulas.simulation.comparisons import (
    COMPARISON_SCENARIOS,
    EQUAL,
    RATES,
    STEPS,
    TWO_ROUNDS,
    ComparisonPlan,
    plant_comparison,
)
from studies.formulas.simulation.coverage import tally
from studies.formulas.simulation.planted import Bowl
from studies.records import TrialState

CONTEXT = FitContext(("study-7",), "validation_loss")


def schemes(effects=EQUAL, **own):
    return ComparisonPlan(effects, lambda method: {"init_scheme": method}, missing=0.0, **own)


def inherited(effects=STEPS, **own):
    return ComparisonPlan(effects, lambda method: {"inherit_method": method}, missing=0.0, **own)


def rounds(effects=TWO_ROUNDS, **own):
    return ComparisonPlan(
        effects,
        lambda method: {"rounds": int(method.split("_")[1]), "sampling_rate": 0.5},
        missing=0.0,
        **own,
    )


def rows_of(plan, seed=0):
    return plant_comparison(plan, np.random.default_rng(seed))


def test_differences_are_paired_over_seeds():
    """What the methods of a seed share falls out, as in scipy's paired test."""
    rows = rows_of(schemes({"constant": 0.0, "gpt2": 0.01}, shared=0.5))
    losses = {
        method: [row.metrics["validation_loss"] for row in rows if row.parameters["init_scheme"] == method]
        for method in ("constant", "gpt2")
    }
    formula = fit_initialization(rows, CONTEXT)[0]
    (pair,) = formula.evidence["pairs"]
    expected = ttest_rel(losses["gpt2"], losses["constant"])
    assert pair["p"] == pytest.approx(expected.pvalue)
    assert pair["difference"] == pytest.approx(np.mean(losses["gpt2"]) - np.mean(losses["constant"]))
    level = formula.coefficients["gpt2"].level
    assert formula.evidence["tests"] == 3
    assert level == pytest.approx(1 - 0.05 / 3)
    assert (pair["low"], pair["high"]) == pytest.approx(tuple(expected.confidence_interval(level)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_lies_between_the_bare_values_and_bonferronis(values):
    adjusted = holm(values)
    for own, value in zip(adjusted, values, strict=True):
        assert value <= own <= min(len(values) * value, 1.0) or own == max(adjusted[values.index(v)] for v in values)
    order = sorted(range(len(values)), key=lambda place: values[place])
    assert [adjusted[place] for place in order] == sorted(adjusted)
    assert adjusted[order[0]] == pytest.approx(min(len(values) * values[order[0]], 1.0))


def test_holm_against_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_equal_initialisations_agree_and_an_unequal_one_differs():
    equal = fit_initialization(rows_of(schemes()), CONTEXT)[0]
    assert equal.verdict == "agrees_at_this_scale"
    assert equal.coefficients["gpt2"].paper.test == "value"
    assert equal.coefficients["gpt2"].paper.region == pytest.approx((-0.025, 0.025), abs=1e-3)
    assert equal.coefficients["internlm_minus_gpt2"].verdict == "agrees_at_this_scale"
    unequal = fit_initialization(rows_of(schemes({**EQUAL, "gpt2": 0.06})), CONTEXT)[0]
    assert unequal.verdict == "differs_at_this_scale"
    assert unequal.coefficients["gpt2"].verdict == "differs_at_this_scale"
    assert unequal.coefficients["internlm"].verdict == "agrees_at_this_scale"


def test_at_the_papers_size_verdicts_are_about_the_paper():
    rows = [dataclasses.replace(row, metrics={**row.metrics, "total_parameters": 1e9}) for row in rows_of(schemes())]
    assert fit_initialization(rows, CONTEXT)[0].verdict == "recovered"


def test_mup_is_compared_with_the_others_and_carries_no_claim():
    rows = rows_of(schemes({**EQUAL, "mup": -0.05}))
    laws = [formula for formula in fit_all(rows, CONTEXT) if formula.kind == "initialization"]
    assert len(laws) == 1
    assert laws[0].coefficients["mup"].estimate == pytest.approx(-0.05, abs=0.01)
    assert laws[0].coefficients["mup"].paper is None
    assert laws[0].verdict == "agrees_at_this_scale"


def test_an_order_is_recovered_only_whole():
    assert fit_inheritance(rows_of(inherited()), CONTEXT)[0].verdict == "agrees_at_this_scale"
    tie = fit_inheritance(rows_of(inherited({**STEPS, "taylor": STEPS["l2"]})), CONTEXT)[0]
    assert tie.verdict == "undetermined"
    assert tie.coefficients["taylor_minus_l2"].verdict == "undetermined"
    assert tie.coefficients["l1"].verdict == "agrees_at_this_scale"
    assert tie.supply["max_trial_count"] > 40
    reversed_ = fit_inheritance(rows_of(inherited({**STEPS, "l1": -0.07})), CONTEXT)[0]
    assert reversed_.verdict == "differs_at_this_scale"
    assert any("against the order" in reason for reason in reversed_.reasons)


def test_missing_methods_leave_the_order_open_and_are_asked_for():
    formula = fit_inheritance(rows_of(inherited({"random": 0.0, "l1": -0.05})), CONTEXT)[0]
    assert formula.verdict == "undetermined"
    assert formula.coefficients["l1"].verdict == "agrees_at_this_scale"
    assert any("learned_mask" in reason for reason in formula.reasons)
    assert formula.supply["inner"]["inherit_method"] == ["none", *STEPS]
    assert formula.supply["inner"]["seed"] == list(range(8))
    assert formula.supply["space"]["inherit_method"] is None


def test_whatever_the_paper_calls_random_stands_before_l1():
    """The notes do not say whether its random is a choice of neurons or a random start."""
    with_none = {"none": 0.02, **STEPS}
    assert fit_inheritance(rows_of(inherited(with_none)), CONTEXT)[0].verdict == "agrees_at_this_scale"
    without_random = {name: effect for name, effect in with_none.items() if name != "random"}
    assert fit_inheritance(rows_of(inherited(without_random)), CONTEXT)[0].verdict == "agrees_at_this_scale"
    formula = fit_inheritance(rows_of(inherited(with_none)), CONTEXT)[0]
    assert formula.evidence["reference"] == "none"
    assert formula.coefficients["random"].paper is None
    assert formula.coefficients["l1"].paper.test == formula.coefficients["l1_minus_random"].paper.test == "order"


def test_an_order_that_holds_for_one_reading_of_random_alone_is_not_decided():
    better_start = {"none": -0.1, **STEPS}
    formula = fit_inheritance(rows_of(inherited(better_start)), CONTEXT)[0]
    assert formula.verdict == "undetermined"
    assert formula.coefficients["l1"].verdict == "differs_at_this_scale"
    assert formula.coefficients["l1_minus_random"].verdict == "agrees_at_this_scale"
    both = {"none": -0.1, **STEPS, "random": -0.1}
    assert fit_inheritance(rows_of(inherited(both)), CONTEXT)[0].verdict == "differs_at_this_scale"


def observation(**parameters):
    return Observation(0, TrialState.COMPLETE, parameters, {}, {})


@pytest.mark.parametrize(
    ("parameters", "label"),
    [
        ({"rounds": 1, "sampling_rate": 0.25, "round_selection": "top_loss"}, "rounds_1"),
        ({"rounds": 2}, "rounds_2"),
        ({"rounds": 2, "sampling_rate": 0.5, "round_selection": "loss", "round_losses": "during"}, "rounds_2_at_50"),
        ({"rounds": 2, "sampling_rate": 0.125}, "rounds_2_at_12_5"),
        ({"rounds": 2, "sampling_rate": 0.5, "round_selection": "uniform"}, "rounds_2_at_50_uniform"),
        (
            {"rounds": 2, "sampling_rate": 0.5, "round_selection": "uniform", "round_losses": "end"},
            "rounds_2_at_50_uniform",
        ),
        ({"rounds": 2, "sampling_rate": 0.5, "round_selection": "top_loss"}, "rounds_2_at_50_top_loss"),
        ({"rounds": 2, "sampling_rate": 0.5, "round_losses": "end"}, "rounds_2_at_50_losses_at_end"),
        ({"rounds": 3, "sampling_rate": 0.5, "round_selection": "fresh", "parts": 4}, "rounds_3_at_50_fresh"),
        ({"rounds": 2, "sampling_rate": 0.5, "parts": 1}, "rounds_2_at_50_1_parts"),
        ({"sampling_rate": 0.5}, None),
    ],
)
def test_rounds_are_told_apart_by_what_chooses_their_batches(parameters, label):
    assert MULTIPLE_ROUNDS.label(observation(**parameters)) == label


def test_what_a_study_holds_fixed_is_read_from_the_attributes():
    fixed = {"sampling_rate": 0.25, "round_selection": "uniform"}
    assert (
        MULTIPLE_ROUNDS.label(Observation(0, TrialState.COMPLETE, {"rounds": 2}, {}, fixed)) == "rounds_2_at_25_uniform"
    )


@pytest.mark.parametrize(
    ("parameters", "label"),
    [
        ({"inherit_method": "l1", "inherit_layers": "importance"}, "l1"),
        ({"inherit_method": "l1", "inherit_layers": "uniform"}, "l1_of_uniform_layers"),
        ({"inherit_method": "none", "inherit_layers": "uniform"}, "none"),
        ({"inherit_layers": "uniform"}, None),
    ],
)
def test_ways_to_inherit_are_told_apart_by_neurons_and_layers(parameters, label):
    assert INHERITED.label(observation(**parameters)) == label


@pytest.mark.parametrize(("ratio", "verdict"), [(1.01, "agrees_at_this_scale"), (1.5, "undetermined")])
def test_more_tokens_are_no_method(ratio, verdict):
    """A second round on top of the first, as in the paper, is more training; here rounds share one budget."""
    rows = [
        dataclasses.replace(
            row, metrics={**row.metrics, "train_tokens": 1e6 * (ratio if row.parameters["rounds"] > 1 else 1)}
        )
        for row in rows_of(rounds())
    ]
    formula = fit_multiple_rounds(rows, CONTEXT)[0]
    assert formula.verdict == verdict
    assert any("as many tokens" in reason for reason in formula.reasons) == (verdict == "undetermined")
    assert verdict != "undetermined" or formula.supply is None


def test_conditional_parameters_of_later_rounds_do_not_unpair_the_first():
    rows = [
        dataclasses.replace(
            row,
            parameters={
                name: value
                for name, value in row.parameters.items()
                if row.parameters["rounds"] > 1 or name != "sampling_rate"
            },
        )
        for row in rows_of(rounds())
    ]
    assert fit_multiple_rounds(rows, CONTEXT)[0].verdict == "agrees_at_this_scale"


def test_two_rounds_help_and_a_third_adds_nothing():
    formula = fit_multiple_rounds(rows_of(rounds()), CONTEXT)[0]
    assert formula.verdict == "agrees_at_this_scale"
    assert formula.coefficients["rounds_2_at_50"].paper.test == "sign"
    assert formula.coefficients["rounds_3_at_50_minus_rounds_2_at_50"].paper.test == "value"
    better_third = fit_multiple_rounds(rows_of(rounds({**TWO_ROUNDS, "rounds_3_at_50": -0.1})), CONTEXT)[0]
    assert better_third.verdict == "differs_at_this_scale"


def test_each_method_counts_at_its_own_best_rate():
    """At one common rate a method whose best rate lies elsewhere looks worse; profiled, it does not."""
    plan = schemes(rate_shifts={"gpt2": 0.8}, rates=RATES, bowl=Bowl(noise=0.002))
    profiled = fit_initialization(rows_of(plan), CONTEXT)[0]
    assert profiled.evidence["rates"] == "profiled"
    assert abs(profiled.coefficients["gpt2"].estimate) < 0.005
    single = fit_initialization(rows_of(dataclasses.replace(plan, rates=(3e-3,))), CONTEXT)[0]
    assert single.evidence["rates"] == "common"
    assert single.coefficients["gpt2"].estimate > 0.01
    assert any("same learning rate" in reason for reason in single.reasons)


def test_two_rates_profile_nothing_and_give_no_verdict():
    formula = fit_initialization(rows_of(schemes(rates=(1.5e-3, 3e-3))), CONTEXT)[0]
    assert formula.evidence["rates"] == "best_tried"
    assert formula.verdict == "undetermined"
    assert "not profiled" in formula.reasons[0]


def test_rates_that_differ_between_blocks_but_not_inside_them_are_common():
    rows = [
        dataclasses.replace(row, parameters={**row.parameters, "learning_rate": 1e-3 * (1 + row.parameters["seed"])})
        for row in rows_of(schemes())
    ]
    assert fit_initialization(rows, CONTEXT)[0].evidence["rates"] == "common"


def test_few_seeds_ask_for_more():
    formula = fit_initialization(rows_of(schemes(seeds=2)), CONTEXT)[0]
    assert formula.verdict == "undetermined"
    assert "train every method at the same 3 seeds" in formula.reasons[0]
    assert formula.supply["inner"]["seed"] == [0, 1, 2, 3]
    assert formula.supply["max_trial_count"] == 12
    with pytest.raises(InvalidInput, match="no fitted numbers"):
        evaluate(formula, {"is_gpt2": 1})


def test_trials_that_share_nothing_are_asked_to_share_seeds():
    """As a sampler draws them that varies everything at once."""
    rows = [
        dataclasses.replace(row, parameters={**row.parameters, "seed": row.number, "depth": row.number})
        for row in rows_of(schemes({**EQUAL, "mup": 0.0}))
    ]
    formula = fit_initialization(rows, CONTEXT)[0]
    assert "no method shares 3 seeds or configurations with constant" in formula.reasons[0]
    assert formula.supply["inner"]["init_scheme"] == [*EQUAL, "mup"]
    assert formula.supply["space"] == {"init_scheme": None, "seed": None}
    assert formula.supply["max_trial_count"] == 5 * 4 * len(formula.supply["inner"]["seed"])


def test_many_configurations_are_the_units():
    formula = fit_initialization(rows_of(schemes(configurations=6, seeds=2)), CONTEXT)[0]
    assert formula.evidence["unit"] == "configuration"
    assert {pair["pairs"] for pair in formula.evidence["pairs"]} == {6}


def test_failed_runs_leave_with_their_pairs():
    rows = rows_of(schemes())
    failed = dataclasses.replace(rows[1], state=TrialState.FAIL, metrics={})
    formula = fit_initialization([rows[0], failed, *rows[2:]], CONTEXT)[0]
    pairs = {(pair["first"], pair["second"]): pair["pairs"] for pair in formula.evidence["pairs"]}
    assert sorted(pairs.values()) == [7, 7, 8]
    assert any("1 of gpt2" in reason for reason in formula.reasons)


def test_a_score_is_better_when_higher():
    rows = [
        dataclasses.replace(row, metrics={"validation_loss": 50 - 20 * row.metrics["validation_loss"]})
        for row in rows_of(inherited())
    ]
    formula = fit_inheritance(rows, dataclasses.replace(CONTEXT, direction="maximize"))[0]
    assert formula.verdict == "agrees_at_this_scale"
    assert formula.coefficients["learned_mask"].estimate == pytest.approx(20 * 0.08, abs=0.2)
    assert formula.coefficients["l1"].paper.region == (0.0, None)


def test_the_winner_is_better_than_all_others_or_as_good_and_simpler():
    def winner(fit, plan, **change):
        return fit(rows_of(plan), dataclasses.replace(CONTEXT, **change))[0].evidence["winner"]

    assert winner(fit_inheritance, inherited()) == {
        "method": "learned_mask",
        "parameters": {"inherit_method": "learned_mask"},
    }
    assert winner(fit_inheritance, inherited(), direction="maximize")["method"] == "random"
    assert winner(fit_inheritance, inherited({**STEPS, "learned_mask": STEPS["taylor"]})) is None
    assert winner(fit_initialization, schemes())["method"] == "constant"
    assert winner(fit_initialization, schemes({**EQUAL, "internlm": -0.06}))["method"] == "internlm"
    two = {"rounds": 2, "sampling_rate": 0.5}
    assert winner(fit_multiple_rounds, rounds()) == {"method": "rounds_2_at_50", "parameters": two}
    better_third = {**TWO_ROUNDS, "rounds_3_at_50": -0.1}
    assert winner(fit_multiple_rounds, rounds(better_third))["parameters"]["rounds"] == 3


def test_it_is_evaluated_by_indicators_from_its_json_alone():
    formula = Formula.model_validate(json.loads(fit_inheritance(rows_of(inherited()), CONTEXT)[0].model_dump_json()))
    reference = evaluate(formula, {})
    taylor = evaluate(formula, {"is_taylor": 1})
    assert reference.estimate == formula.coefficients["level"].estimate
    assert taylor.estimate - reference.estimate == pytest.approx(formula.coefficients["taylor"].estimate)
    assert taylor.low < taylor.estimate < taylor.high
    with pytest.raises(InvalidInput, match="give 0 or 1"):
        evaluate(formula, {"is_taylor": 0.5})


@pytest.mark.parametrize(("value", "name"), [("GPT-2", "gpt_2"), ("lambda", "method_lambda"), ("2x", "method_2x")])
def test_methods_get_names_that_expressions_hold(value, name):
    assert identifier(value) == name
    assert names_of(f"{name} * is_{name}") == {name, f"is_{name}"}


@pytest.mark.parametrize(
    ("change", "verdict"), [({"purpose": "optimise"}, "exploratory"), ({"finished": False}, "interim")]
)
def test_adaptive_and_unfinished_studies_carry_no_verdict(change, verdict):
    assert fit_initialization(rows_of(schemes()), dataclasses.replace(CONTEXT, **change))[0].verdict == verdict


def test_one_method_is_no_comparison_and_too_many_are_a_search():
    assert fit_initialization(rows_of(schemes({"constant": 0.0})), CONTEXT) == ()
    many = schemes({f"scheme {place}": 0.0 for place in range(20)}, seeds=3)
    assert "too many" in fit_initialization(rows_of(many), CONTEXT)[0].reasons[0]


def test_runs_that_are_the_same_bit_by_bit_are_equal():
    rows = [
        Observation(number, TrialState.COMPLETE, {"init_scheme": method, "seed": seed}, {"validation_loss": 2.0}, {})
        for number, (method, seed) in enumerate((method, seed) for method in EQUAL for seed in range(4))
    ]
    formula = fit_initialization(rows, CONTEXT)[0]
    assert formula.verdict == "agrees_at_this_scale"
    assert formula.coefficients["gpt2"].estimate == 0


@pytest.mark.parametrize(
    "name",
    ["F3 equal, 8 seeds, one rate", "F4 steps of 0.02, 8 seeds", "F4 no effect", "F6 second round 0.03, 8 seeds"],
)
def test_intervals_cover_and_verdicts_are_true(name):
    """Short form of benchmarks/formula_coverage.py; two standard errors of shares over 60 studies."""
    scenario = next(scenario for scenario in COMPARISON_SCENARIOS if scenario.name == name)
    result = tally(scenario, 60, seed=1)
    assert result.covered >= 0.92 - 0.07
    assert result.false <= 0.05 + 0.056
    assert result.decided >= 0.8
