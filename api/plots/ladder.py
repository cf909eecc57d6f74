"""The ladder of a campaign: bits per byte after each step, as steps with intervals (the paper's figure 1)."""

from collections.abc import Sequence

from api.plots.style import BLUE, GREEN, GREY, ORANGE, Json, layout, text
from studies.campaigns.judgement import RungResult, RungVerdict

COLOURS: dict[RungVerdict | None, str] = {
    "improved": GREEN,
    "worse": ORANGE,
    "undetermined": GREY,
    "same": GREY,
    None: BLUE,
}
"""Of a rung's marker, by the verdict of its step; the baseline has none."""
SYMBOLS: dict[RungVerdict | None, str] = {
    "improved": "triangle-down",
    "worse": "triangle-up",
    "undetermined": "circle",
    "same": "circle-open",
    None: "square",
}
WORDS: dict[RungVerdict | None, str] = {
    "improved": "improved",
    "worse": "worse",
    "undetermined": "sign not decided",
    "same": "nothing adopted",
    None: "no verdict",
}

RUNG_WIDTH = 100
"""Pixels of a rung below which its label would not fit (assumed: fifteen characters)."""


def ladder_figure(rungs: Sequence[RungResult]) -> Json:
    """A step for each rung; the interval is that of its mean, and the hover text says what the step changed."""
    known = [(place, rung) for place, rung in enumerate(rungs) if rung.mean is not None]
    labels = [text(rung.label, 30) for rung in rungs]
    x_axis: Json = {
        "type": "linear",
        "tickmode": "array",
        "tickvals": list(range(len(rungs))),
        "ticktext": labels,
        "range": [-0.6, max(len(rungs), 1) - 0.4],
        "automargin": True,
        "showgrid": False,
        "zeroline": False,
    }
    y_axis = {"title": {"text": "bits per byte"}, "type": "linear", "automargin": True, "zeroline": False}
    verdicts = list(dict.fromkeys(_verdict(rung) for _, rung in known))
    data = [*_baseline(known, len(rungs)), *_steps(known), *(_markers(known, verdict) for verdict in verdicts)]
    return {
        "data": data if known else [],
        "layout": layout(x_axis, y_axis, meta={"min_width": RUNG_WIDTH * len(rungs)}),
    }


Placed = Sequence[tuple[int, RungResult]]


def _verdict(rung: RungResult) -> RungVerdict | None:
    return None if rung.step is None else rung.step.verdict


def _baseline(known: Placed, rungs: int) -> list[Json]:
    """A line at the first rung, from which the others are read."""
    first = next((rung.mean.estimate for place, rung in known if place == 0 and rung.mean), None)
    if first is None:
        return []
    line = {"color": GREY, "width": 1, "dash": "dot"}
    ends = {"x": [-0.6, rungs - 0.4], "y": [first, first]}
    return [{"type": "scatter", "mode": "lines", "showlegend": False, **ends, "line": line, "hoverinfo": "skip"}]


def _steps(known: Placed) -> list[Json]:
    """The line of steps through the means."""
    points = [(place, rung.mean.estimate) for place, rung in known if rung.mean is not None]
    ends = [(place + side, value) for place, value in points for side in (-0.5, 0.5)]
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "showlegend": False,
            "x": [place for place, _ in ends],
            "y": [value for _, value in ends],
            "line": {"color": BLUE, "width": 2},
            "hoverinfo": "skip",
        }
    ]


def _markers(known: Placed, verdict: RungVerdict | None) -> Json:
    rows = [(place, rung, rung.mean) for place, rung in known if _verdict(rung) == verdict and rung.mean is not None]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "baseline" if verdict is None and rows[0][0] == 0 else WORDS[verdict],
        "x": [place for place, _, _ in rows],
        "y": [mean.estimate for _, _, mean in rows],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [mean.high - mean.estimate for _, _, mean in rows],
            "arrayminus": [mean.estimate - mean.low for _, _, mean in rows],
            "thickness": 1.6,
            "width": 6,
        },
        "customdata": [[text(rung.label), mean.low, mean.high, _change(rung)] for _, rung, mean in rows],
        "hovertemplate": "<b>%{customdata[0]}</b><br>%{y:.4f} bits per byte<br>"
        "mean: %{customdata[1]:.4f} to %{customdata[2]:.4f} (95 %)<br>%{customdata[3]}<extra></extra>",
        "marker": {"color": COLOURS[verdict], "symbol": SYMBOLS[verdict], "size": 12, "line": {"width": 2}},
    }


def _change(rung: RungResult) -> str:
    """What the step changed, in words."""
    if rung.step is None:
        return f"{rung.runs} runs"
    difference = rung.step.difference
    if difference is None:
        return "as the rung before" if rung.step.verdict == "same" else "too few pairs to compare"
    bounds = f"{difference.low:+.4f} to {difference.high:+.4f}"
    said = f"step {difference.estimate:+.4f} ({bounds}) over {rung.step.pairs} pairs"
    return f"{said}<br>{WORDS[rung.step.verdict]}"
