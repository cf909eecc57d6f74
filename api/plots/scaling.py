"""Loss over compute: runs, the frontier of the best configs, lines of equal size, and residuals below."""

from collections.abc import Mapping
from typing import Any

from api.plots.formulas import formula_figure
from api.plots.style import GREY, PALETTE, Json, short
from studies.formulas.formula import Formula

RESIDUALS_TOP, LOSS_BOTTOM = 0.2, 0.32
"""Shares of the height at which the lower panel ends and the upper one begins."""


def scaling_figure(formula: Formula) -> Json:
    """The law's figure; that of a law of N and D also has lines of equal size and residuals."""
    figure = formula_figure(formula)
    lines = formula.evidence.get("lines")
    if not lines:
        return figure
    y_name = formula.evidence["axes"][1]
    traces = [_line(line, formula.size_convention, y_name, place) for place, line in enumerate(lines)]
    layout = figure["layout"]
    upper = {**layout["yaxis"], "domain": [LOSS_BOTTOM, 1.0]}
    lower = {"domain": [0.0, RESIDUALS_TOP], "title": {"text": "residual, %"}, "zeroline": True, "automargin": True}
    xaxis = {**layout["xaxis"], "anchor": "y2"}
    data = [*traces, *figure["data"], _residuals(formula)]
    return {"data": data, "layout": {**layout, "xaxis": xaxis, "yaxis": upper, "yaxis2": lower}}


def _line(line: Mapping[str, Any], size_name: str, y_name: str, place: int) -> Json:
    size = short(line[size_name])
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{size} parameters",
        "showlegend": False,
        "x": [row["compute"] for row in line["rows"]],
        "y": [row[y_name] for row in line["rows"]],
        "line": {"width": 1, "dash": "dot", "color": PALETTE[place % len(PALETTE)]},
        "hovertemplate": f"{size} parameters: %{{x:.3g}}, %{{y:.4g}}<extra></extra>",
    }


def _residuals(formula: Formula) -> Json:
    """Observed over fitted loss, in per cent, by compute."""
    residuals = formula.evidence["residuals"]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "residuals",
        "showlegend": False,
        "yaxis": "y2",
        "x": [row["compute"] for row in formula.evidence["points"]],
        "y": [100 * residual for residual in residuals],
        "hovertemplate": "%{x:.3g} FLOPs: %{y:.2f} %<extra></extra>",
        "marker": {"size": 5, "color": GREY},
    }
