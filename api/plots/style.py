"""What the figures have in common: colours, axes with units, hover texts."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from studies.records import TrialState
from studies.repository.overviews import Point

Json = dict[str, Any]

BLUE, ORANGE, GREEN, PURPLE, PINK, GREY = "#3f7fe0", "#d0761c", "#1f9d76", "#9a6dd0", "#d1578f", "#8591a3"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, PINK, GREY)
"""Told apart with any colour vision (hues of Okabe and Ito 2008), and at least 3:1 on a white and on a dark ground."""
HIGHLIGHT = "#e0457b"
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")

LOG_RATIO = 3.0
"""An axis whose ends differ by more than this factor is logarithmic (assumed: where equal ratios read better)."""
LINEAR_NAMES = frozenset({"seed", "rounds", "embedding_share", "sampling_rate"})
"""Names whose differences matter, and not their ratios, however far they reach."""
LOGARITHMIC_NAMES = frozenset({"learning_rate", "batch_tokens"})
"""Names whose ratios matter, however near to each other their values are."""
MAX_TICKS = 8
ROUND_STEPS = ((10, (1, 1.5, 2, 3, 4, 6, 8)), (2000, (1, 2, 5)), (math.inf, (1,)))
"""Ticks of each decade of a logarithmic axis whose ends differ by less than a factor."""
UNITS: Mapping[str, str] = {
    "depth": "layers",
    "best_depth": "layers",
    "width": "units",
    "head_dim": "units",
    "vocabulary_size": "tokens",
    "batch_tokens": "tokens",
    "warmup_tokens": "tokens",
    "sequence_length": "tokens",
    "train_tokens": "tokens",
    "train_bytes": "bytes",
    "train_flops": "FLOPs",
    "compute": "6·N·D, FLOPs",
    "validation_loss": "nats a token",
    "train_loss": "nats a token",
    "train_tokens_per_second": "tokens/s",
    "decode_tokens_per_second": "tokens/s",
    "total_parameters": "parameters",
    "non_embedding_parameters": "parameters",
    "decode_memory": "bytes",
}


STATE_STYLES: Mapping[TrialState, tuple[str, str]] = {
    TrialState.COMPLETE: (BLUE, "circle"),
    TrialState.PRUNED: (ORANGE, "diamond"),
}
"""Colour and symbol of trials that have a final objective, by their state."""


def axis(name: str, values: Sequence[object], title: str | None = None) -> Json:
    """An axis for ``values`` of the variable ``name``: logarithmic, linear, or of categories."""
    described: Json = {"title": {"text": text(title or label(name))}, "automargin": True}
    if not is_numeric(values):
        return {**described, "type": "category"}
    if is_logarithmic(name, values):
        return {**described, "type": "log", **_log_ticks(values)}
    return {**described, "type": "linear"}


def label(name: str) -> str:
    """A variable with its unit, e.g. ``depth (layers)``; metrics whose name says it have none."""
    unit = UNITS.get(name)
    return name.replace("_", " ") + (f" ({unit})" if unit else "")


def is_numeric(values: Sequence[object]) -> bool:
    """Whether all values are numbers."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def is_logarithmic(name: str, values: Sequence[Any]) -> bool:
    """Whether a numeric axis reads better with equal ratios."""
    if not values or name in LINEAR_NAMES or min(values) <= 0:
        return False
    return name in LOGARITHMIC_NAMES or bool(max(values) / min(values) > LOG_RATIO)


def _log_ticks(values: Sequence[Any]) -> Json:
    """A tick at each value where there are few, e.g. batches of a grid; else at round numbers."""
    ticks = sorted(set(values))
    if len(ticks) > MAX_TICKS:
        low, high = ticks[0], ticks[-1]
        steps = next(steps for ratio, steps in ROUND_STEPS if high / low < ratio)
        decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
        ticks = [step * 10.0**decade for decade in decades for step in steps]
    return {"tickmode": "array", "tickvals": ticks, "ticktext": [short(tick) for tick in ticks]}


def short(value: float) -> str:
    """A number for a tick or a hover text, e.g. ``0.002``, ``384`` or ``1.5M``."""
    for size, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if suffix == 'k' else size):.4g}{suffix}"
    return f"{value:.4g}"


def text(value: object, longest: int = 80) -> str:
    """A text for plotly, which reads some HTML in texts: escaped, and cut to ``longest`` characters."""
    shown = str(value)
    return escape(shown if len(shown) <= longest else shown[: longest - 1] + "…", quote=False)


def trial_text(number: int, parameters: Mapping[str, object]) -> str:
    """The first lines of a hover text: number and parameters."""
    rows = [f"{text(name)} {text(_value(value))}" for name, value in list(parameters.items())[:12]]
    return "<br>".join([f"<b>trial {number}</b>", *rows])


def _value(value: object) -> object:
    return short(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def layout(xaxis: Json, yaxis: Json, **more: Any) -> Json:
    """A layout with two axes."""
    return {
        "xaxis": xaxis,
        "yaxis": yaxis,
        "hovermode": "closest",
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 64, "r": 16, "t": 36, "b": 52},
        **more,
    }


def drawn_note(
    drawn: int, total: int, which: str = "trials: the best ones, and a fair choice of the others"
) -> list[Json]:
    """An annotation where there is too much to be drawn whole."""
    if drawn >= total:
        return []
    said = f"{drawn} of {total} {which}"
    place = {"xref": "paper", "yref": "paper", "x": 1, "y": 1, "xanchor": "right", "yanchor": "bottom"}
    return [{**place, "text": said, "showarrow": False, "font": {"size": 11}}]


def highlight(point: Point | None, x: Callable[[Point], object], **more: Any) -> list[Json]:
    """A ring around the point of a trial that has an objective."""
    if point is None or point.value is None:
        return []
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": f"trial {point.number}",
        "x": [x(point)],
        "y": [point.value],
        "customdata": [point.number],
        "hoverinfo": "skip",
        "marker": {"color": "rgba(0,0,0,0)", "size": 14, "line": {"color": HIGHLIGHT, "width": 3}},
    }
    return [{**trace, **more}]
