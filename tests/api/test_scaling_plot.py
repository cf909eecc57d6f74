import json
import math

import numpy as np
import pytest

from api.plots.scaling import scaling_figure
from api.web.formula_cards import TITLES, formula_card
from studies.formulas.observations import FitContext
from studies.formulas.scaling.law import fit_scaling
from studies.formulas.shrink.law import fit_shrink
from studies.formulas.simulation.planted_scaling import ScalingPlan, plant_scaling
from studies.formulas.simulation.planted_shrink import ShrinkPlan, plant_shrink

CONTEXT = FitContext(("7",), "validation_loss")


@pytest.fixture(scope="module")
def laws():
    return fit_scaling(plant_scaling(ScalingPlan(), np.random.default_rng(0)), CONTEXT)


def test_the_figure_shows_runs_frontier_lines_of_equal_size_and_residuals(laws):
    figure = scaling_figure(laws[0])
    json.dumps(figure, allow_nan=False)
    lines = [trace for trace in figure["data"] if trace.get("line", {}).get("dash") == "dot"]
    assert len(lines) == 8
    residuals = next(trace for trace in figure["data"] if trace.get("yaxis") == "y2")
    assert len(residuals["x"]) == len(laws[0].evidence["points"])
    assert figure["layout"]["yaxis2"]["domain"][1] < figure["layout"]["yaxis"]["domain"][0]
    point = laws[0].evidence["points"][0]
    fitted = point["validation_loss"] / math.exp(laws[0].evidence["residuals"][0])
    law = {name: value.estimate for name, value in laws[0].coefficients.items()}
    value = law["E"] + law["A"] / point["total_parameters"] ** law["alpha"]
    assert fitted == pytest.approx(value + law["B"] / point["train_tokens"] ** law["beta"], rel=1e-6)


def test_the_best_size_is_drawn_by_its_axes(laws):
    assert scaling_figure(laws[1])["layout"]["yaxis"]["type"] == "log"


def test_every_formula_has_a_title_and_an_equation(laws):
    shrinking = fit_shrink(plant_shrink(ShrinkPlan(), np.random.default_rng(0)), CONTEXT)
    for formula in (*laws, *shrinking):
        assert not formula.variant or f"{formula.kind}/{formula.variant}" in TITLES
        assert formula_card(formula).equation is not None
