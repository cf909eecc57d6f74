"""The recipe's difference to each rival over the sizes of a validation, with intervals and the margin."""

from collections.abc import Sequence

from api.plots.style import BLUE, GREEN, GREY, ORANGE, PINK, PURPLE, SYMBOLS, Json, axis, layout, short
from studies.validation.judgement import TITLES, Bounds, CandidateName, Judgement, RungJudgement

COLOURS: dict[CandidateName, str] = {
    "default": ORANGE,
    "step_law": GREEN,
    "half_rate": BLUE,
    "double_rate": PURPLE,
}
"""Of the rivals, in the order in which they are drawn."""
APART = 1.015
"""Factor between the markers of neighbouring rivals, so that their intervals do not cover each other (assumed)."""
ROOM = 1.12
"""Factor by which the axis reaches beyond the sizes."""


def validation_figure(judgement: Judgement) -> Json:
    """A marker for each rival at each size; below 0 the recipe is better, and above the margin it is too much worse."""
    rungs = [rung for rung in judgement.rungs if rung.differences]
    sizes = [rung.total_parameters for rung in judgement.rungs]
    ends = [sizes[0] / ROOM, sizes[-1] * ROOM]
    data = [trace for place, name in enumerate(COLOURS) for trace in _rival(name, place, rungs)]
    if data:
        data = [_line("no difference", 0.0, ends, "solid"), _line("margin", judgement.margin, ends, "dash"), *data]
        data.append(_regret(rungs))
    x_axis = axis("total_parameters", sizes)
    ticks = {"tickmode": "array", "tickvals": sizes, "ticktext": [short(size) for size in sizes], "type": "log"}
    y_axis = {"title": {"text": "recipe − rival (bits per byte)"}, "type": "linear", "automargin": True}
    return {"data": data, "layout": layout({**x_axis, **ticks}, y_axis)}


def _rival(name: CandidateName, place: int, rungs: Sequence[RungJudgement]) -> list[Json]:
    found = [(rung.total_parameters, of.difference) for rung in rungs for of in rung.differences if of.rival == name]
    if not found:
        return []
    title, colour = TITLES[name], COLOURS[name]
    return [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": title,
            "x": [size * APART ** (place - (len(COLOURS) - 1) / 2) for size, _ in found],
            "y": [difference.estimate for _, difference in found],
            "error_y": _bars([difference for _, difference in found]),
            "customdata": [[short(size), difference.low, difference.high] for size, difference in found],
            "hovertemplate": f"{title} at %{{customdata[0]}}: %{{y:+.4f}}<br>%{{customdata[1]:+.4f}} to "
            "%{customdata[2]:+.4f} (95 %)<extra></extra>",
            "line": {"color": colour, "width": 1, "dash": "dot"},
            "marker": {"color": colour, "size": 9, "symbol": SYMBOLS[place]},
        }
    ]


def _bars(differences: Sequence[Bounds]) -> Json:
    up = [difference.high - difference.estimate for difference in differences]
    down = [difference.estimate - difference.low for difference in differences]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.4, "width": 4}


def _line(name: str, value: float, ends: Sequence[float], dash: str) -> Json:
    line = {"color": PINK if name == "margin" else GREY, "width": 1.5, "dash": dash}
    shown = {"showlegend": name == "margin", "hoverinfo": "name" if name == "margin" else "skip"}
    return {"type": "scatter", "mode": "lines", "name": name, "x": [*ends], "y": [value] * 2, "line": line, **shown}


def _regret(rungs: Sequence[RungJudgement]) -> Json:
    """The one-sided upper bound of regret at each size: what the verdict compares with the margin."""
    bounds = [(rung.total_parameters, rung.regret.high) for rung in rungs if rung.regret is not None]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "regret is at most (95 %)",
        "x": [size for size, _ in bounds],
        "y": [high for _, high in bounds],
        "hovertemplate": "regret at most %{y:+.4f}<extra></extra>",
        "marker": {"color": PINK, "size": 12, "symbol": "triangle-down-open", "line": {"width": 2}},
    }
