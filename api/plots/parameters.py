"""The objective by each parameter that varies, side by side."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from api.plots.style import BLUE, ORANGE, Json, axis, drawn_note, highlight, label, text, trial_text
from studies.repository.overviews import Point
from studies.service.overviews import Drawing

MAX_COLUMNS = 5
MAX_PARAMETERS = 12
GAP = 0.035
"""Between two panels, as a share of the figure's width."""
ROW_HEIGHT_PX = 270
PANEL_WIDTH_PX = 165
"""Least width of a panel; on a narrower screen the figure is wider than the screen."""


def objective_by_parameter(drawn: Drawing) -> Json:
    """Build the figure: a panel for each parameter, all with the same axis of the objective."""
    objective = drawn.study.spec["objectives"][0]
    points = [point for point in drawn.points if point.value is not None]
    better = max if objective["direction"] == "maximize" else min
    best = better(points, key=lambda point: point.value or 0.0, default=None)
    names = varying(points)[:MAX_PARAMETERS]
    texts = {point.number: trial_text(point.number, point.parameters) for point in points}
    data: list[Json] = []
    placed: Json = {}
    for place, name in enumerate(names):
        data += _panel(place, name, points, best, texts, objective["metric"])
        data += _highlight(place, name, drawn.highlighted)
        placed |= _axes(place, len(names), name, points, objective["metric"])
    rows, columns = _grid(len(names))
    common = {"hovermode": "closest", "showlegend": False, "margin": {"l": 64, "r": 16, "t": 28, "b": 52}}
    note = drawn_note(len(drawn.points), drawn.total)
    size = {"height": rows * ROW_HEIGHT_PX, "meta": {"min_width": columns * PANEL_WIDTH_PX}}
    return {"data": data, "layout": {**common, **placed, **size, "annotations": note}}


def varying(points: Sequence[Point]) -> list[str]:
    """Names of the parameters of which at least two values occur, in the order of the spec."""
    seen: dict[str, set[object]] = {}
    for point in points:
        for name, value in point.parameters.items():
            seen.setdefault(name, set()).add(value)
    return [name for name, values in seen.items() if len(values) > 1]


def _panel(
    place: int, name: str, points: Sequence[Point], best: Point | None, texts: Mapping[int, str], metric: str
) -> list[Json]:
    others = [point for point in points if point is not best and name in point.parameters]
    markers = {"color": BLUE, "size": 6, "opacity": 0.55}
    traces = [_trace(place, name, others, texts, metric, markers)]
    if best is not None and name in best.parameters:
        marker = {"color": ORANGE, "size": 11, "symbol": "star"}
        traces.append(_trace(place, name, [best], texts, metric, marker))
    return traces


def _highlight(place: int, name: str, point: Point | None) -> list[Json]:
    if point is None or name not in point.parameters:
        return []
    axes = {"xaxis": _axis_id("x", place), "yaxis": _axis_id("y", place)}
    return highlight(point, lambda shown: _drawable(shown.parameters[name]), **axes)


def _trace(place: int, name: str, points: Sequence[Point], texts: Mapping[int, str], metric: str, marker: Json) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "xaxis": _axis_id("x", place),
        "yaxis": _axis_id("y", place),
        "x": [_drawable(point.parameters[name]) for point in points],
        "y": [point.value for point in points],
        "customdata": [point.number for point in points],
        "text": [texts[point.number] for point in points],
        "hovertemplate": f"%{{text}}<br>{text(label(metric))} %{{y:.5g}}<extra></extra>",
        "marker": marker,
    }


def _axes(place: int, panels: int, name: str, points: Sequence[Point], metric: str) -> Mapping[str, Any]:
    """The two axes of one panel; the first panel of each row names the objective."""
    rows, columns = _grid(panels)
    row, column = divmod(place, columns)
    width = (1 - GAP * (columns - 1)) / columns
    height = (1 - 0.12 * (rows - 1)) / rows
    left, top = column * (width + GAP), 1 - row * (height + 0.12)
    values = [_drawable(point.parameters[name]) for point in points if name in point.parameters]
    x = {**axis(name, values), "domain": [left, left + width], "anchor": _axis_id("y", place)}
    y = axis(metric, [point.value for point in points])
    y |= {"domain": [max(top - height, 0), top], "anchor": _axis_id("x", place), "showticklabels": column == 0}
    if column:
        y["title"] = {"text": ""}
    if place:
        y["matches"] = "y"
    return {_axis_key("xaxis", place): x, _axis_key("yaxis", place): y}


def _grid(panels: int) -> tuple[int, int]:
    """Rows and columns, the rows as equal as they can be."""
    rows = max(1, math.ceil(panels / MAX_COLUMNS))
    return rows, max(1, math.ceil(panels / rows))


def _axis_id(letter: str, place: int) -> str:
    return letter if place == 0 else f"{letter}{place + 1}"


def _axis_key(word: str, place: int) -> str:
    return word if place == 0 else f"{word}{place + 1}"


def _drawable(value: object) -> object:
    """Texts as plotly may show them; truth values as words, which are no numbers."""
    return text(value) if isinstance(value, str | bool) else value
