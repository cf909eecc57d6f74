"""A law over what it was fitted to, and where the paper's claim would lie."""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.plots.style import BLUE, GREEN, GREY, PALETTE, SYMBOLS, Json, axis, label, layout
from studies.formulas.formula import Formula

WEDGE_POINTS = 24
MAX_NAMED_GROUPS = 3
"""More groups are told apart by colour and symbol, and named where the pointer is (assumed: the legend's one line)."""
Row = Mapping[str, Any]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Claim:
    """The coefficient of a kind that a line through the law's middle can show, and how."""

    slope: str
    line: Callable[[Point, float, float], float]
    """From a point, a slope and x to the y of the line through the point."""
    words: str


def _power(point: Point, slope: float, x: float) -> float:
    exponent = math.log(point[1]) + slope * math.log(x / point[0])
    return math.exp(max(min(exponent, 300.0), -300.0))


def _per_doubling(point: Point, slope: float, x: float) -> float:
    return point[1] + slope * math.log2(x / point[0])


CLAIMS: Mapping[str, _Claim] = {
    "learning_rate_batch": _Claim("r", _power, "exponent"),
    "depth_width": _Claim("depth_effect", _per_doubling, "slope"),
}
BESIDE = 1 + 1e-4
STEEPEST = 1e6
"""Stands for a slope without limit (assumed: steeper than any figure shows)."""


def formula_figure(formula: Formula) -> Json:
    """Build the figure: points with their intervals, the law with its band, and the paper's region as a wedge.

    ``evidence.axes`` names what is drawn over what; points and curve have a number under each name.
    """
    x_name, y_name = formula.evidence["axes"]
    points = [row for row in formula.evidence["points"] if _is_drawable(row, x_name, y_name)]
    curve = formula.evidence["curve"]
    xs = [row[x_name] for row in [*points, *curve]]
    ys = [row[y_name] for row in [*points, *curve]]
    x_axis, y_axis = axis(x_name, [row[x_name] for row in points] or xs), axis(y_name, ys)
    data: list[Json] = []
    if curve:
        span = _span(ys, y_axis["type"] == "log")
        y_axis["range"] = [math.log10(end) for end in span] if y_axis["type"] == "log" else list(span)
        data = [*_wedge(formula, curve, span), *_law(curve, x_name, y_name)]
    data += _points(points, x_name, y_name)
    return {"data": data, "layout": layout(x_axis, y_axis)}


def _is_drawable(row: Row, x: str, y: str) -> bool:
    return all(isinstance(row.get(name), int | float) for name in (x, y))


def _span(values: Sequence[float], logarithmic: bool) -> Point:
    """Ends of the axis, a little beyond the values."""
    low, high = min(values), max(values)
    if logarithmic:
        room = (high / low) ** 0.15 * 1.05
        return low / room, high * room
    room = (high - low) * 0.15 or abs(high) * 0.05 or 1.0
    return low - room, high + room


def _wedge(formula: Formula, curve: Sequence[Row], span: Point) -> list[Json]:
    """Lines through the law's middle whose slope lies in the paper's region, shaded."""
    shown = CLAIMS.get(formula.kind)
    claimed = formula.coefficients.get(shown.slope) if shown else None
    if shown is None or claimed is None or claimed.paper is None:
        return []
    x, y = formula.evidence["axes"]
    low, high = (
        limit if end is None else end for end, limit in zip(claimed.paper.region, (-STEEPEST, STEEPEST), strict=True)
    )
    middle = curve[len(curve) // 2]
    pivot = (float(middle[x]), float(middle[y]))
    first, last = curve[0][x], curve[-1][x]
    steps = [first * (last / first) ** (place / WEDGE_POINTS) for place in range(WEDGE_POINTS + 1)]
    steps += [pivot[0] / BESIDE, pivot[0] * BESIDE]  # where a wedge without limit is as wide as the figure
    name = f"paper's {claimed.paper.formula}: {shown.words} {_region_words(claimed.paper.region)}"
    halves = [sorted([pivot[0], *(at for at in steps if side(at, pivot[0]))]) for side in (operator.lt, operator.gt)]
    return [_half(half, pivot, (low, high), shown, span, name, place == 0) for place, half in enumerate(halves)]


def _half(
    xs: Sequence[float],
    pivot: Point,
    slopes: tuple[float, float],
    shown: _Claim,
    span: Point,
    name: str,
    in_legend: bool,
) -> Json:
    edges = [[min(max(shown.line(pivot, slope, x), span[0]), span[1]) for x in xs] for slope in slopes]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "legendgroup": "paper",
        "showlegend": in_legend,
        "x": [*xs, *reversed(xs)],
        "y": [*edges[0], *reversed(edges[1])],
        "fill": "toself",
        "fillcolor": "rgba(31, 157, 118, 0.14)",
        "line": {"width": 0, "color": GREEN},
        "hoverinfo": "skip",
    }


def _region_words(region: tuple[float | None, float | None]) -> str:
    low, high = region
    if low is None:
        return f"below {high:g}"
    return f"above {low:g}" if high is None else f"{low:g} to {high:g}"


def _law(curve: Sequence[Row], x: str, y: str) -> list[Json]:
    xs = [row[x] for row in curve]
    band = {
        "type": "scatter",
        "mode": "lines",
        "name": "its interval",
        "x": [*xs, *reversed(xs)],
        "y": [*(row["low"] for row in curve), *(row["high"] for row in reversed(curve))],
        "fill": "toself",
        "fillcolor": "rgba(63, 127, 224, 0.16)",
        "line": {"width": 0, "color": BLUE},
        "hoverinfo": "skip",
    }
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "law",
        "x": xs,
        "y": [row[y] for row in curve],
        "line": {"color": BLUE, "width": 2.5},
        "hovertemplate": "law: %{x:.4g}, %{y:.4g}<extra></extra>",
    }
    return [band, line]


def _points(points: Sequence[Row], x: str, y: str) -> list[Json]:
    """A trace for each group of points, told apart by colour and symbol where there are few groups."""
    groups: dict[Any, list[Row]] = {}
    for row in points:
        groups.setdefault(row.get("group", 0), []).append(row)
    return [_group(rows, x, y, place, len(groups)) for place, rows in enumerate(groups.values())]


def _group(rows: Sequence[Row], x: str, y: str, place: int, groups: int) -> Json:
    several = 1 < groups <= len(PALETTE)
    named = 1 < groups <= MAX_NAMED_GROUPS
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"grid {place + 1}" if named else "measured",
        "showlegend": named or place == 0,
        "legendgroup": "points",
        "x": [row[x] for row in rows],
        "y": [row[y] for row in rows],
        "error_y": _error_bars(rows, y),
        "customdata": [row.get("runs", 1) for row in rows],
        "hovertemplate": f"{label(x)} %{{x:.4g}}<br>{label(y)} %{{y:.4g}}<br>%{{customdata}} runs"
        + (f"<extra>grid {place + 1}</extra>" if groups > 1 else "<extra></extra>"),
        "marker": {
            "size": 8,
            "color": PALETTE[place] if several and place else GREY,
            "symbol": SYMBOLS[place] if several else "circle",
            "opacity": [1.0 if row.get("used", True) else 0.35 for row in rows],
        },
    }


def _error_bars(rows: Sequence[Row], y: str) -> Json:
    """Interval of each point: stored as its ends, or as a standard error."""
    if all("low" in row and "high" in row for row in rows):
        up, down = [row["high"] - row[y] for row in rows], [row[y] - row["low"] for row in rows]
    else:
        up = down = [1.96 * row.get("error", 0.0) for row in rows]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.2, "width": 0}
