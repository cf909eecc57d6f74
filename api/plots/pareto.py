"""Several objectives against each other, with the Pareto front and its knee; and the hypervolume by trial."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from api.plots.style import (
    BLUE,
    GREEN,
    HIGHLIGHT,
    ORANGE,
    Json,
    drawn_note,
    label,
    layout,
    short,
    text,
    trial_text,
)
from studies.repository.overviews import Point
from studies.service.fronts import DrawnFront, Growth

GAP = 0.09
"""Between two panels, as a share of the figure's width: each has an axis of its own."""
LINEAR: Json = {"type": "linear", "automargin": True}
"""An axis on which the knee, and the space that the front dominates, are what they look like."""
PANEL_WIDTH_PX = 260
"""Least width of a panel of several; on a narrower screen the figure is wider than the screen."""


def pareto(drawn: DrawnFront, highlighted: int | None) -> Json:
    """Build the figure: a panel for each pair of objectives. Of two, steps join the front: it dominates what is beyond.

    The front comes best first by the objective of the horizontal axis, so that each step goes there, then up or down.
    """
    pairs = [*combinations(range(len(drawn.metrics)), 2)]
    panels = [_Panel(drawn, place, *pair) for place, pair in enumerate(pairs)]
    width = (1 - GAP * (len(pairs) - 1)) / len(pairs)
    note = drawn_note(len(drawn.points), len(drawn.values))
    drawing = layout({}, {}, annotations=note, meta={"min_width": len(pairs) * PANEL_WIDTH_PX if pairs[1:] else 0})
    for place, panel in enumerate(panels):
        left = place * (width + GAP)
        drawing |= panel.axes(left, min(left + width, 1.0))
    return {"data": [trace for panel in panels for trace in panel.traces(highlighted)], "layout": drawing}


class _Panel:
    """Two objectives of the drawn trials."""

    def __init__(self, drawn: DrawnFront, place: int, x: int, y: int) -> None:
        self._drawn, self._place, self._x, self._y = drawn, place, x, y
        self._suffix = str(place + 1) if place else ""
        self._hover = {point.number: _hover(point, drawn) for point in drawn.points}

    def axes(self, left: float, right: float) -> Json:
        """The panel's two axes."""
        x, y = ({**LINEAR, "title": {"text": text(label(self._drawn.metrics[of]))}} for of in (self._x, self._y))
        return {
            f"xaxis{self._suffix}": {**x, "domain": [left, right], "anchor": f"y{self._suffix}"},
            f"yaxis{self._suffix}": {**y, "anchor": f"x{self._suffix}"},
        }

    def traces(self, highlighted: int | None) -> Iterator[Json]:
        """Dominated trials, the front, its knee, and the trial that is highlighted."""
        front, knee = self._drawn.front.numbers, self._drawn.front.knee
        on_front = set(front)
        others = [point.number for point in self._drawn.points if point.number not in on_front]
        yield self._trace("dominated", others, {"color": BLUE, "size": 6, "opacity": 0.6})
        shown = [number for number in front if number in self._hover]
        steps = {"line": {"shape": "hv", "color": GREEN, "width": 2}} if len(self._drawn.metrics) == 2 else {}
        yield self._trace("Pareto front", shown, {"color": GREEN, "size": 9}, **steps)
        if knee is not None:
            marker = {"color": ORANGE, "size": 17, "symbol": "star", "line": {"color": "#ffffff", "width": 1}}
            yield self._trace(f"knee, trial {knee}", [knee], marker)
        if highlighted in self._hover:
            ring = {"color": "rgba(0,0,0,0)", "size": 15, "line": {"color": HIGHLIGHT, "width": 3}}
            yield self._trace(f"trial {highlighted}", [highlighted], ring)

    def _trace(self, name: str, numbers: Sequence[int | None], marker: Json, **more: Json) -> Json:
        kept = [number for number in numbers if number is not None]
        values = self._drawn.values
        return {
            "type": "scatter",
            "mode": "lines+markers" if more else "markers",
            "name": name,
            "legendgroup": name,
            "showlegend": self._place == 0 and bool(kept),
            "xaxis": f"x{self._suffix}",
            "yaxis": f"y{self._suffix}",
            "x": [values[number][self._x] for number in kept],
            "y": [values[number][self._y] for number in kept],
            "customdata": kept,
            "text": [self._hover[number] for number in kept],
            "hovertemplate": "%{text}<extra></extra>",
            "marker": marker,
            **more,
        }


def hypervolume(drawn: DrawnFront, growth: Growth | None) -> Json:
    """Build the figure: steps at the trials that extended the front."""
    shares = growth.shares if growth else []
    steps = [
        (number, share)
        for index, (number, share) in enumerate(shares)
        if index in (0, len(shares) - 1) or share > shares[index - 1][1]
    ]
    x: Json = {"title": {"text": "trial number"}, "automargin": True}
    y: Json = {"title": {"text": "hypervolume"}, "automargin": True, "tickformat": ".0%", "rangemode": "tozero"}
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "share of the box that the front dominates",
        "x": [number for number, _ in steps],
        "y": [share for _, share in steps],
        "customdata": [number for number, _ in steps],
        "hovertemplate": "after trial %{x}: %{y:.1%}<extra></extra>",
        "line": {"shape": "hv", "color": GREEN, "width": 2.5},
        "marker": {"color": GREEN, "size": 5},
    }
    return {"data": [line], "layout": layout(x, y, annotations=_reference(drawn.metrics, growth))}


def _reference(metrics: Sequence[str], growth: Growth | None) -> list[Json]:
    """Says which point the hypervolume is measured to."""
    if growth is None:
        return []
    point = ", ".join(
        f"{label(metric)} {short(value)}" for metric, value in zip(metrics, growth.reference, strict=True)
    )
    place = {"xref": "paper", "yref": "paper", "x": 1, "y": 0, "xanchor": "right", "yanchor": "bottom"}
    return [{**place, "text": f"reference point: {text(point, 200)}", "showarrow": False, "font": {"size": 11}}]


def _hover(point: Point, drawn: DrawnFront) -> str:
    values: Mapping[str, float] = dict(zip(drawn.metrics, drawn.values[point.number], strict=True))
    rows = [f"{text(label(metric))} {value:.5g}" for metric, value in values.items()]
    return "<br>".join([trial_text(point.number, point.parameters), *rows])
