"""Variants of the depth law: equal amounts, the knee, growth over budgets, checkpoints of one run."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from search.pareto import is_on_front
from search.pareto import knee as knee_of_trials
from studies.formulas.depth_width.front import fronts, knees
from studies.formulas.depth_width.law import fit_depth_width
from studies.formulas.depth_width.optima import BudgetOptimum
from studies.formulas.depth_width.power_law import fit_power_law
from studies.formulas.evaluation import evaluate
from studies.formulas.fitting.budget import split_budgets
from studies.formulas.fitting.checkpoints import at_one_length
from studies.formulas.formula import Formula
from studies.formulas.observations import FitContext, Observation
from studies.formulas.simulation.coverage import tally
from studies.formulas.simulation.depth_variants import (
    EQUAL_AMOUNT_SCENARIOS,
    FOUR_BUDGETS,
    GROWTH_SCENARIOS,
    KNEE_SCENARIOS,
    GrowthPlan,
    SizesPlan,
    SpeedPlan,
    plant_growth,
    plant_sizes,
    plant_speeds,
)
from studies.formulas.simulation.planted import DepthPlan, bowl_over_depth, plant_depth_width
from studies.records import TrialState

CONTEXT = FitContext(("study-7",), "validation_loss")


def laws(rows, context=CONTEXT):
    return {formula.variant: formula for formula in fit_depth_width(rows, context)}


def planted_growth(seed=0, **plan):
    return plant_growth(GrowthPlan(**plan), np.random.default_rng(seed))


def changed(rows, change):
    return [dataclasses.replace(row, metrics=change(row) if row.metrics else {}) for row in rows]


class TestEqualAmounts:
    def test_a_budget_of_flops_is_one(self):
        rows = plant_depth_width(DepthPlan(), np.random.default_rng(0))
        flops = changed(rows, lambda row: row.metrics | {"train_flops": 3e13})
        found = laws(flops)
        assert found["train_flops"].size_convention == "train_flops"
        assert found["train_flops"].evidence["shape"] == found[""].evidence["shape"] == "U"
        assert "equal training FLOPs" in found["train_flops"].statement
        assert "non_embedding_parameters" not in found

    def test_sizes_that_spread_independently_of_depth_are_conditioned_on(self):
        found = laws(plant_sizes(SizesPlan(), np.random.default_rng(0)))
        for variant in ("", "non_embedding_parameters", "train_flops"):
            law = found[variant]
            assert law.evidence["conditioned"]
            assert "conditioning" in law.statement
            assert law.coefficients["size_effect"].low < -0.1 < law.coefficients["size_effect"].high
        law = found["non_embedding_parameters"]
        twice = 2 * law.coefficients["reference_non_embedding_parameters"].estimate
        change = evaluate(law, {"depth": 5, "non_embedding_parameters": twice}).estimate
        assert change - evaluate(law, {"depth": 5}).estimate == pytest.approx(-0.1, abs=0.02)

    def test_sizes_that_follow_depth_are_not(self):
        rows = plant_depth_width(DepthPlan(), np.random.default_rng(0))
        grown = changed(rows, lambda row: row.metrics | {"train_flops": 1e13 * row.parameters["depth"]})
        law = laws(grown)["train_flops"]
        assert law.verdict == "undetermined"
        assert not law.expression
        assert "along with depth" in law.reasons[0]
        assert law.supply["constraints"]["train_flops"]["solve_for"] == "width"
        assert law.supply["constraints"]["total_parameters"] is None

    def test_an_undetermined_principal_law_stands_alone(self):
        rows = plant_depth_width(DepthPlan(), np.random.default_rng(0))
        grown = [
            dataclasses.replace(
                row,
                metrics=row.metrics
                and dict.fromkeys(("total_parameters", "train_flops"), 1000000.0 * row.parameters["depth"])
                | {"validation_loss": row.metrics["validation_loss"]},
                attributes={},
            )
            for row in rows
        ]
        assert laws(grown).keys() == {""}

    def test_a_best_depth_beyond_the_tried_ones_is_stated_with_its_one_end(self):
        plan = DepthPlan(cost=bowl_over_depth(40.0, 0.02))
        law = laws(plant_depth_width(plan, np.random.default_rng(0)))[""]
        assert law.coefficients["best_depth"].high is None
        assert "best depth above" in law.statement
        assert any("one-sided" in reason for reason in law.reasons)
        assert law.supply["space"]["depth"]["high"] >= 28


class TestKnee:
    def test_the_planted_knee_is_inside_its_interval(self):
        plan = SpeedPlan()
        law = laws(plant_speeds(plan, np.random.default_rng(0)))["knee"]
        knee = law.coefficients["knee_depth"]
        assert knee.low < plan.knee(2, 15) < knee.high
        assert knee.high / knee.low < 2
        assert knee.paper.region == (16.0, 25.0)
        assert law.verdict == "differs_at_this_scale"
        assert evaluate(law, {"depth": 6}).estimate == pytest.approx(plan.speed(6), rel=0.05)
        assert (
            law.coefficients["knee_depth"].estimate
            < laws(plant_speeds(plan, np.random.default_rng(0)))[""].coefficients["best_depth"].estimate
        )

    def test_where_deeper_is_worse_there_is_no_knee(self):
        plan = SpeedPlan(DepthPlan(cost=bowl_over_depth(1.0, 0.05)))
        law = laws(plant_speeds(plan, np.random.default_rng(0)))["knee"]
        assert law.coefficients["knee_depth"].low is None
        assert law.supply["space"]["depth"]["low"] == 1

    def test_it_needs_every_architectures_speed(self):
        rows = plant_speeds(SpeedPlan(), np.random.default_rng(0))
        missing = [dataclasses.replace(row, metrics=dict(list(row.metrics.items())[:2])) for row in rows[:8]]
        assert "knee" not in laws([*missing, *rows[8:]])

    @given(arrays(np.float64, (2, 12), elements=st.floats(0.0, 10.0, width=16)))
    def test_it_is_that_of_trials(self, table):
        costs, speeds = table[:1], 1 + table[1:]
        points = np.column_stack([costs[0], -speeds[0]])
        kept = fronts(costs, speeds)[0]
        whole = is_on_front(points)
        assert {tuple(point) for point in points[kept]} == {tuple(point) for point in points[whole]}
        own, theirs = points[knees(costs, speeds)[0]], points[whole][knee_of_trials(points[whole])]
        low, width = points[whole].min(axis=0), np.ptp(points[whole], axis=0)
        scaled = [((point - low) / np.where(width > 0, width, 1)).sum() for point in (own, theirs)]
        assert scaled[0] == pytest.approx(scaled[1])


class TestGrowth:
    def test_the_planted_exponents_are_inside_their_intervals(self):
        found = laws(planted_growth(budgets=FOUR_BUDGETS))
        g = found["growth"].coefficients["g"]
        assert g.low < 0.25 < g.high
        assert g.high - g.low < 0.4
        assert found["growth"].verdict == "agrees_at_this_scale"
        predicted = evaluate(found["growth"], {"total_parameters": 8e6})
        assert predicted.low < predicted.estimate < predicted.high
        assert predicted.estimate == pytest.approx(6, rel=0.2)
        ratio = evaluate(found["ratio_growth"], {"total_parameters": 8e6})
        assert 20 < ratio.estimate < 80
        for formula in found.values():
            assert Formula.model_validate(json.loads(formula.model_dump_json())) == formula

    def test_a_best_depth_that_falls_contradicts_the_paper(self):
        law = laws(planted_growth(exponent=-0.25, budgets=FOUR_BUDGETS))["growth"]
        assert law.verdict == "differs_at_this_scale"

    def test_a_budget_beyond_its_depths_is_a_bound_and_not_dropped(self):
        """Where two budgets are best at 4 layers and the largest above 8, depth grows."""
        v = np.linspace(1, 4, 121)
        located = [BudgetOptimum(size, 9, 9, v, 10 * (v - 2).clip(0), 10 * (2 - v).clip(0)) for size in (1e6, 4e6)]
        beyond = BudgetOptimum(16e6, 9, 9, v, np.zeros(121), 10 * (3 - v).clip(0))
        assert (beyond.low, beyond.high) == (pytest.approx(3, abs=0.25), None)
        without, with_bound = fit_power_law(located), fit_power_law([*located, beyond])
        assert without.exponent_ends[0] < 0 < with_bound.exponent_ends[0]

    def test_the_law_says_which_budgets_only_bound(self):
        law = laws(planted_growth(exponent=0.33, budgets=FOUR_BUDGETS, middle=9.0))["growth"]
        assert any("only bound" in reason for reason in law.reasons)
        assert law.evidence["points"][-1]["edge"] == "high"

    def test_two_budgets_lack_a_third(self):
        law = laws(planted_growth(budgets=(1e6, 8e6)))["growth"]
        assert law.verdict == "undetermined"
        assert "add 1" in law.reasons[0]
        assert law.supply["constraints"]["total_parameters"]["target"] == pytest.approx(32e6, rel=0.05)

    def test_an_open_exponent_is_a_bound_without_a_number(self):
        design = DepthPlan(architectures=12, depths=(2, 6))
        law = laws(planted_growth(middle=12.0, design=design))["growth"]
        assert law.verdict == "undetermined"
        assert law.coefficients["g"].estimate is None
        assert not law.expression
        assert law.supply["space"]["depth"]["high"] > 6

    def test_one_budget_has_no_growth(self):
        assert not {"growth", "ratio_growth"} & laws(plant_depth_width(DepthPlan(), np.random.default_rng(0))).keys()

    @pytest.mark.parametrize(
        ("change", "verdict"), [({"purpose": "optimise"}, "exploratory"), ({"finished": False}, "interim")]
    )
    def test_adaptive_and_unfinished_studies_carry_no_verdict(self, change, verdict):
        found = laws(planted_growth(), dataclasses.replace(CONTEXT, **change))
        assert {formula.verdict for formula in found.values()} == {verdict}

    @given(st.lists(st.floats(1e3, 1e12), min_size=1, max_size=30), st.floats(1.01, 3.0))
    def test_budgets_hold_every_size_once_and_span_no_more_than_their_factor(self, sizes, factor):
        budgets = split_budgets(sizes, factor)
        assert sorted(place for budget in budgets for place in budget) == list(range(len(sizes)))
        for budget in budgets:
            own = [sizes[place] for place in budget]
            assert max(own) <= factor * min(own)


class TestCheckpoints:
    def checkpoints(self, names, lengths):
        return [
            Observation(
                0,
                TrialState.COMPLETE,
                {"depth": 4},
                {"validation_loss": 3.0, "train_tokens": float(length)},
                {"run_name": name},
            )
            for name in names
            for length in lengths
        ]

    def test_a_run_counts_once_at_the_longest_common_length(self):
        rows = [*self.checkpoints("abcde", (10, 20, 40)), *self.checkpoints("a", (80,))]
        kept = at_one_length(rows)
        assert [row.attributes["run_name"] for row in kept] == list("abcde")
        assert {row.metrics["train_tokens"] for row in kept} == {40.0}

    def test_runs_of_one_length_each_are_kept(self):
        rows = [*self.checkpoints("a", (10,)), *self.checkpoints("b", (20,))]
        assert at_one_length(rows) == rows

    def test_the_law_says_how_many_rows_it_left_out(self):
        rows = plant_depth_width(DepthPlan(), np.random.default_rng(0))
        early = changed(rows, lambda row: row.metrics | {"train_tokens": 1e6, "validation_loss": 9.0})
        late = changed(rows, lambda row: row.metrics | {"train_tokens": 2e6})
        law = laws([*early, *late])[""]
        assert any("rows at other lengths" in reason for reason in law.reasons)
        assert law.coefficients["best_depth"] == laws(rows)[""].coefficients["best_depth"]


@pytest.mark.parametrize(
    ("name", "studies"),
    [
        ("g=0.25, 3 budgets x 12 architectures", 8),
        ("knee, U at 10, skewed 0.4", 10),
        ("U at 5, equal FLOPs, 24", 5),
    ],
)
def test_intervals_cover_and_verdicts_are_true(name, studies):
    """At least two below what 0.92 and 0.8 of the studies are, so that luck rarely decides."""
    scenarios = (*GROWTH_SCENARIOS, *KNEE_SCENARIOS, *EQUAL_AMOUNT_SCENARIOS)
    result = tally(next(scenario for scenario in scenarios if scenario.name == name), studies, seed=1)
    assert result.covered >= 1 - 2.5 / studies
    assert result.false <= 1.5 / studies
    assert result.decided >= 1 - 2.5 / studies


def test_scenario_names_are_unique():
    names = [scenario.name for scenario in (*GROWTH_SCENARIOS, *KNEE_SCENARIOS, *EQUAL_AMOUNT_SCENARIOS)]
    assert len(set(names)) == len(names)
