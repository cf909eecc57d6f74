"""Depth against speed with the front and its knee; and how an optimum grows, with budgets that only bound it."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.plots.formulas import formula_figure
from api.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, Json, axis, label, layout, short
from studies.formulas.formula import Formula

Row = Mapping[str, Any]
ARROWS = {"low": "triangle-down-open", "high": "triangle-up-open", "both": "diamond-open"}
"""Which way an optimum may lie beyond what was tried."""
EDGES = {
    "low": "may lie below what was tried",
    "high": "may lie above what was tried",
    "both": "not bounded",
}


def depth_figure(formula: Formula) -> Json:
    """The figure of a depth law's variant."""
    if formula.variant == "knee":
        return knee_figure(formula)
    return growth_figure(formula) if formula.variant in ("growth", "ratio_growth") else formula_figure(formula)


def knee_figure(formula: Formula) -> Json:
    """Objective against decode speed: architectures, the curve along depth, its front, and the knee."""
    x, y = formula.evidence["axes"]
    points, curve = formula.evidence["points"], formula.evidence["curve"]
    front = [row for row in curve if row["front"]]
    data = [
        _band(curve, x),
        _line(curve, x, y, "along depth", GREY, "dot"),
        _line(front, x, y, "front", GREEN, "solid"),
    ]
    data += [_architectures([row for row in points if row["front"] == on], x, y, on) for on in (False, True)]
    data += [_knee(row, x, y) for row in curve if row["knee"]]
    shown = [*points, *curve]
    return {"data": data, "layout": layout(*(axis(name, [row[name] for row in shown]) for name in (x, y)))}


def growth_figure(formula: Formula) -> Json:
    """The law over the budgets' optima; a budget that only bounds its optimum is an arrow with an open end."""
    x, y = formula.evidence["axes"]
    figure = formula_figure(formula)
    laws = [trace for trace in figure["data"] if trace.get("legendgroup") != "points"]
    points = formula.evidence["points"]
    sides = ["none", *(side for side in ARROWS if any(row["edge"] == side for row in points))]
    budgets = [_budgets([row for row in points if row["edge"] == side], x, y, side) for side in sides]
    ends = [row[end] for row in [*points, *formula.evidence["curve"]] for end in ("low", "high")]
    y_axis = axis(y, ends or [1.0])
    return {"data": [*laws, *budgets], "layout": {**figure["layout"], "yaxis": y_axis}}


def _band(curve: Sequence[Row], x: str) -> Json:
    xs = [row[x] for row in curve]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "its interval",
        "x": [*xs, *reversed(xs)],
        "y": [*(row["low"] for row in curve), *(row["high"] for row in reversed(curve))],
        "fill": "toself",
        "fillcolor": "rgba(63, 127, 224, 0.14)",
        "line": {"width": 0, "color": BLUE},
        "hoverinfo": "skip",
    }


def _line(rows: Sequence[Row], x: str, y: str, name: str, colour: str, dash: str) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [row[x] for row in rows],
        "y": [row[y] for row in rows],
        "customdata": [row["depth"] for row in rows],
        "line": {"color": colour, "width": 2.5, "dash": dash},
        "hovertemplate": f"{name}: depth %{{customdata:.3g}}<br>%{{x:.4g}}, %{{y:.4g}}<extra></extra>",
    }


def _architectures(rows: Sequence[Row], x: str, y: str, on_front: bool) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "measured, on the front" if on_front else "measured",
        "x": [row[x] for row in rows],
        "y": [row[y] for row in rows],
        "customdata": [row["depth"] for row in rows],
        "error_y": {"type": "data", "array": [1.96 * row["error"] for row in rows], "thickness": 1.2, "width": 0},
        "hovertemplate": f"depth %{{customdata}}<br>{label(x)} %{{x:.4g}}<br>{label(y)} %{{y:.4g}}<extra></extra>",
        "marker": {"size": 8, "color": GREEN if on_front else GREY},
    }


def _knee(row: Row, x: str, y: str) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"knee: {short(row['depth'])} layers",
        "x": [row[x]],
        "y": [row[y]],
        "hovertemplate": "knee<br>%{x:.4g}, %{y:.4g}<extra></extra>",
        "marker": {"color": ORANGE, "size": 17, "symbol": "star", "line": {"color": "#ffffff", "width": 1}},
    }


def _budgets(rows: Sequence[Row], x: str, y: str, side: str) -> Json:
    up, down = [row["high"] - row[y] for row in rows], [row[y] - row["low"] for row in rows]
    colour = GREY if side == "none" else PURPLE
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "best of a budget" if side == "none" else EDGES[side],
        "x": [row[x] for row in rows],
        "y": [row[y] for row in rows],
        "customdata": [row["architectures"] for row in rows],
        "error_y": {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.2, "width": 0},
        "hovertemplate": f"{label(x)} %{{x:.4g}}<br>{label(y)} %{{y:.4g}}<br>%{{customdata}} shapes<extra></extra>",
        "marker": {"size": 11 if side != "none" else 9, "color": colour, "symbol": ARROWS.get(side, "circle")},
    }
