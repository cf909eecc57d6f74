"""The objective along the training of each trial, shaded by how good the trial ended."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.plots.style import BLUE, HIGHLIGHT, ORANGE, STATE_STYLES, Json, drawn_note, label, layout
from studies.records import TrialState
from studies.repository.overviews import Point
from studies.service.overviews import Drawing

Curve = Sequence[tuple[float, float]]
SHADES = (("best fifth", 1.0), ("", 0.62), ("", 0.42), ("", 0.28), ("last fifth", 0.18))
"""Name in the legend and opacity of the curves of each fifth of the ended trials: it reads on light and dark ground."""
MAX_STEPS = 200
"""Most points of one curve (assumed: a plot is some hundred pixels wide)."""


def learning_curves(
    drawn: Drawing, values: Mapping[int, Sequence[tuple[int, float]]], metric: str | None = None
) -> Json:
    """Build the figure from each trial's (step, value) pairs; ``metric`` names the values, the objective by default."""
    objective = drawn.study.spec["objectives"][0]
    points = [point for point in drawn.points if point.number in values]
    batches = {point.number: _batch_tokens(point, drawn.study.spec) for point in points}
    in_tokens = None not in batches.values()
    curves = {number: _scaled(thin(values[number]), batch if in_tokens else 1) for number, batch in batches.items()}
    traces = [*_traces(points, curves, objective["direction"]), *_highlighted(drawn.highlighted, curves)]
    return {
        "data": [trace for trace in traces if trace["x"]],
        "layout": layout(
            {"title": {"text": "training tokens" if in_tokens else "training steps"}, "automargin": True},
            {"title": {"text": label(metric or objective["metric"])}, "automargin": True},
            annotations=drawn_note(len(points), drawn.total) if len(drawn.points) < drawn.total else [],
        ),
    }


def thin(curve: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """At most ``MAX_STEPS`` points of a curve, its first and last ones among them."""
    if len(curve) <= MAX_STEPS:
        return curve
    last = len(curve) - 1
    return [curve[place * last // (MAX_STEPS - 1)] for place in range(MAX_STEPS)]


def _batch_tokens(point: Point, spec: Mapping[str, Any]) -> float | None:
    batch = point.parameters.get("batch_tokens", spec.get("proxy", {}).get("batch_tokens"))
    return float(batch) if isinstance(batch, int | float) else None


def _scaled(curve: Sequence[tuple[int, float]], batch: float | None) -> Curve:
    return [(step * (batch or 1), value) for step, value in curve]


def _traces(points: Sequence[Point], curves: Mapping[int, Curve], direction: str) -> list[Json]:
    """One trace for each shade, worst first so that the best lie on top, and others for those without an end."""
    stopped = [point for point in points if point.state is TrialState.PRUNED]
    others = [point for point in points if point.state is not TrialState.PRUNED]
    ended = [point for point in others if point.value is not None]
    ranked = sorted(ended, key=lambda point: point.value or 0.0, reverse=direction == "maximize")
    shaded = []
    for place, (name, opacity) in enumerate(SHADES):
        fifth = ranked[place * len(ranked) // len(SHADES) : (place + 1) * len(ranked) // len(SHADES)]
        shaded.append(_trace(fifth, curves, name, {"color": BLUE, "width": 1.6 if place else 2}, opacity))
    open_ended = [point for point in others if point.value is None]
    running = [point for point in open_ended if point.state in (TrialState.RUNNING, TrialState.WAITING)]
    failed = [point for point in open_ended if point.state not in (TrialState.RUNNING, TrialState.WAITING)]
    return [
        _stopped(stopped, curves),
        *reversed(shaded),
        _trace(failed, curves, "without a result", {"color": ORANGE, "width": 1.4, "dash": "dot"}, 0.8),
        _trace(running, curves, "running", {"color": ORANGE, "width": 2.2}, 1.0),
    ]


def _stopped(points: Sequence[Point], curves: Mapping[int, Curve]) -> Json:
    """Trials that a scheduler stopped, with a mark at their last evaluation: of many it is the only one."""
    colour, symbol = STATE_STYLES[TrialState.PRUNED]
    trace = _trace(points, curves, "stopped early", {"color": colour, "width": 1}, 0.5)
    sizes = [7 if following is None else 0 for following in [*trace["x"][1:], 0]]
    return {**trace, "mode": "lines+markers", "marker": {"symbol": symbol, "size": sizes, "color": colour}}


def _highlighted(point: Point | None, curves: Mapping[int, Curve]) -> list[Json]:
    if point is None or point.number not in curves:
        return []
    trace = _trace([point], curves, f"trial {point.number}", {"color": HIGHLIGHT, "width": 3}, 1.0)
    return [{**trace, "mode": "lines+markers", "marker": {"size": 6}}]


def _trace(points: Sequence[Point], curves: Mapping[int, Curve], name: str, line: Json, opacity: float) -> Json:
    """Many curves as one trace, with a gap after each: a browser draws 8000 points quickly, 400 traces not."""
    x: list[float | None] = []
    y: list[float | None] = []
    numbers: list[int] = []
    for point in points:
        curve = curves[point.number]
        x += [*(at for at, _ in curve), None]
        y += [*(value for _, value in curve), None]
        numbers += [point.number] * (len(curve) + 1)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "showlegend": bool(name),
        "x": x,
        "y": y,
        "customdata": numbers,
        "hovertemplate": "<b>trial %{customdata}</b><br>%{x:,.0f}: %{y:.5g}<extra></extra>",
        "line": line,
        "opacity": opacity,
        "connectgaps": False,
    }
