"""Formulas that are drawn in a way of their own."""

import numpy as np
from plotly.graph_objects import Figure

from api.plots.registry import OF_KINDS
from api.web.mathml import mathml
from studies.formulas.comparisons.law import fit_inheritance, fit_initialization
from studies.formulas.depth_width.law import fit_depth_width
from studies.formulas.formula import Formula
from studies.formulas.observations import FitContext
from studies.formulas.simulation.comparisons import STEPS, ComparisonPlan, plant_comparison
from studies.formulas.simulation.depth_variants import GrowthPlan, SpeedPlan, plant_growth, plant_speeds
from studies.formulas.simulation.vocabularies import VocabularyPlan, bowl_over_vocabulary, plant_vocabulary
from studies.formulas.vocabulary.law import fit_vocabulary

CONTEXT = FitContext(("1",), "validation_loss")


def vocabulary(plan: VocabularyPlan) -> Formula:
    return fit_vocabulary(plant_vocabulary(plan, np.random.default_rng(0)), CONTEXT)[0]


def inheritance(seeds: int = 6) -> Formula:
    plan = ComparisonPlan(STEPS, lambda method: {"inherit_method": method}, seeds=seeds)
    return fit_inheritance(plant_comparison(plan, np.random.default_rng(0)), CONTEXT)[0]


def drawn(formula: Formula) -> dict[str, dict]:
    figure = OF_KINDS[formula.kind](formula)
    Figure(figure)  # plotly refuses what its schema does not have
    mathml(formula.latex)
    return {trace["name"]: trace for trace in figure["data"] if "name" in trace}


def test_a_vocabulary_shows_both_answers() -> None:
    formula = vocabulary(VocabularyPlan())
    traces = drawn(formula)
    (best,) = (trace for name, trace in traces.items() if name.startswith("best: "))
    (rule,) = (trace for name, trace in traces.items() if name.startswith("paper's rule: 6000"))
    assert best["x"] == [formula.coefficients["best_vocabulary"].estimate] * 2
    assert rule["x"] == [6000, 6000]
    assert {"law", "its interval", "measured"} <= traces.keys()


def test_an_open_end_is_drawn_to_what_was_tried() -> None:
    rising = vocabulary(VocabularyPlan(cost=bowl_over_vocabulary(400.0, 0.02)))
    (band,) = (trace for name, trace in drawn(rising).items() if name.startswith("best ("))
    assert min(band["x"]) == 1024


def test_a_comparison_is_a_forest_of_its_pairs() -> None:
    formula = inheritance()
    figure = OF_KINDS[formula.kind](formula)
    drawn(formula)
    names = figure["layout"]["yaxis"]["ticktext"]
    assert names[-1] == "l1 − random"
    assert len(names) == len(formula.evidence["pairs"]) == 10
    shown = [trace for trace in figure["data"] if trace["mode"] == "markers"]
    assert sum(len(trace["x"]) for trace in shown) == 10
    regions = [trace for trace in figure["data"] if trace.get("legendgroup") == "paper"]
    assert len(regions) == 4
    assert all(max(trace["x"]) == 0.0 for trace in regions)


def test_laws_without_a_fit_are_drawn_too() -> None:
    for law in (vocabulary(VocabularyPlan(sizes=(1024, 2048))), inheritance(seeds=2)):
        assert not law.expression
        drawn(law)


def test_names_of_methods_are_escaped() -> None:
    plan = ComparisonPlan({"<b>a": 0.0, "b": 0.1}, lambda method: {"init_scheme": method})
    formula = fit_initialization(plant_comparison(plan, np.random.default_rng(0)), CONTEXT)[0]
    assert "<" not in str(OF_KINDS[formula.kind](formula)["layout"]["yaxis"]["ticktext"])


def test_a_knee_is_a_star_on_the_front() -> None:
    rows = plant_speeds(SpeedPlan(), np.random.default_rng(0))
    formula = next(formula for formula in fit_depth_width(rows, CONTEXT) if formula.variant == "knee")
    traces = drawn(formula)
    (knee,) = (trace for name, trace in traces.items() if name.startswith("knee: "))
    front = traces["front"]
    assert (knee["x"][0], knee["y"][0]) in zip(front["x"], front["y"], strict=True)
    assert len(traces["measured"]["x"]) + len(traces["measured, on the front"]["x"]) == 20


def test_a_budget_that_only_bounds_its_optimum_is_an_arrow() -> None:
    rows = plant_growth(GrowthPlan(0.33, (1e6, 4e6, 16e6, 64e6), middle=9.0), np.random.default_rng(0))
    laws = {formula.variant: formula for formula in fit_depth_width(rows, CONTEXT)}
    traces = drawn(laws["growth"])
    beyond = traces["may lie above what was tried"]
    assert beyond["marker"]["symbol"] == "triangle-up-open"
    assert max(beyond["x"]) > max(traces["best of a budget"]["x"])
    drawn(laws["ratio_growth"])
