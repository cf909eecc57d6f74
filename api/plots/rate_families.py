"""Best learning rates over the batch, a line for each grid: the law's value at the grid's own size and length."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.plots.formulas import formula_figure
from api.plots.style import PALETTE, SYMBOLS, Json, axis, label, layout, short
from studies.formulas.formula import Formula

Row = Mapping[str, Any]


def rate_figure(formula: Formula) -> Json:
    """A law with curves of its own for each grid as a family; the others by their axes."""
    curves = formula.evidence.get("curves")
    return _family(formula, curves) if curves else formula_figure(formula)


def _family(formula: Formula, curves: Sequence[Row]) -> Json:
    x_name, y_name = formula.evidence["axes"]
    points = formula.evidence["points"]
    data: list[Json] = []
    for place, curve in enumerate(curves):
        own = [row for row in points if row["group"] == curve["group"]]
        name, colour = _name(curve), PALETTE[place % len(PALETTE)]
        data += [_line(curve["rows"], x_name, y_name, name, colour), _markers(own, x_name, y_name, name, place)]
    x_axis, y_axis = (axis(name, [row[name] for row in points]) for name in (x_name, y_name))
    return {"data": data, "layout": layout(x_axis, y_axis)}


def _name(curve: Row) -> str:
    """Size and length of a grid, e.g. ``N 429M, D 4B``."""
    size = curve.get("non_embedding_parameters", curve.get("total_parameters"))
    return f"N {short(float(size or 0))}, D {short(float(curve['train_tokens']))}"


def _line(rows: Sequence[Row], x: str, y: str, name: str, colour: str) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "legendgroup": name,
        "x": [row[x] for row in rows],
        "y": [row[y] for row in rows],
        "line": {"color": colour, "width": 2},
        "hovertemplate": f"law: %{{x:.4g}}, %{{y:.4g}}<extra>{name}</extra>",
    }


def _markers(rows: Sequence[Row], x: str, y: str, name: str, place: int) -> Json:
    colour = PALETTE[place % len(PALETTE)]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "legendgroup": name,
        "showlegend": False,
        "x": [row[x] for row in rows],
        "y": [row[y] for row in rows],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [row["high"] - row[y] for row in rows],
            "arrayminus": [row[y] - row["low"] for row in rows],
            "thickness": 1.0,
            "width": 0,
        },
        "hovertemplate": f"{label(x)} %{{x:.4g}}<br>{label(y)} %{{y:.4g}}<extra>{name}</extra>",
        "marker": {
            "size": 7,
            "color": colour,
            "symbol": SYMBOLS[place // len(PALETTE) % len(SYMBOLS)],
        },
    }
