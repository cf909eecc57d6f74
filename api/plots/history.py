"""The objective of each trial by its number, and the best so far."""

from collections.abc import Sequence

from api.plots.style import (
    GREEN,
    STATE_STYLES,
    Json,
    axis,
    drawn_note,
    highlight,
    label,
    layout,
    short,
    text,
    trial_text,
)
from studies.records import TrialState
from studies.repository.overviews import Point
from studies.service.overviews import Drawing


def history(drawn: Drawing) -> Json:
    """Build the figure."""
    objective = drawn.study.spec["objectives"][0]
    metric = objective["metric"]
    traces = [_trace(drawn.points, state, metric) for state in STATE_STYLES]
    values = [point.value for point in drawn.points if point.value is not None]
    return {
        "data": [
            *(trace for trace in traces if trace["x"]),
            _best_line(drawn.points, objective["direction"]),
            *highlight(drawn.highlighted, lambda point: point.number),
        ],
        "layout": layout(
            {"title": {"text": "trial number"}, "automargin": True},
            axis(metric, values),
            annotations=drawn_note(len(drawn.points), drawn.total),
        ),
    }


def _trace(points: Sequence[Point], state: TrialState, metric: str) -> Json:
    colour, symbol = STATE_STYLES[state]
    shown = [point for point in points if point.state is state and point.value is not None]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": state.value.lower(),
        "x": [point.number for point in shown],
        "y": [point.value for point in shown],
        "customdata": [point.number for point in shown],
        "text": [trial_text(point.number, point.parameters) for point in shown],
        "hovertemplate": f"%{{text}}<br>{text(label(metric))} %{{y:.5g}}<extra></extra>",
        "marker": {"color": colour, "symbol": symbol, "size": 7, "opacity": 0.75},
    }


def _best_line(points: Sequence[Point], direction: str) -> Json:
    """Steps at every complete trial that is better than all before it."""
    better = max if direction == "maximize" else min
    best: float | None = None
    steps: list[tuple[int, float]] = []
    for point in points:
        if point.state is TrialState.COMPLETE and point.value is not None:
            best = point.value if best is None else better(best, point.value)
            steps.append((point.number, best))
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"best so far{'' if best is None else ' ' + short(best)}",
        "x": [number for number, _ in steps],
        "y": [value for _, value in steps],
        "line": {"shape": "hv", "color": GREEN, "width": 2.5},
        "hoverinfo": "skip",
    }
