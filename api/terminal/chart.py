"""A small chart of characters: a curve and the points that it was fitted to."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

WIDTH = 56
HEIGHT = 9
LOG_RATIO = 3.0
"""An axis whose ends differ by more than this factor is logarithmic (assumed: where equal ratios read better)."""

Row = Mapping[str, Any]


def draw_chart(curve: Sequence[Row], points: Sequence[Row], axes: Sequence[str]) -> list[str]:
    """Lines of a chart of one variable over another.

    Args:
        curve: rows that hold both variables.
        points: rows that hold both variables too; others are left out.
        axes: the names of both variables, that of the x axis first.

    Returns:
        No lines when there is no curve, or it is a single point.
    """
    if not curve:
        return []
    x_name, y_name = axes
    line = _pairs(curve, x_name, y_name)
    dots = _pairs(points, x_name, y_name)
    xs, ys = zip(*line, *dots, strict=True)
    if min(xs) == max(xs) or min(ys) == max(ys):
        return []
    column, row = _scale(xs, WIDTH), _scale(ys, HEIGHT)
    cells = [[" "] * WIDTH for _ in range(HEIGHT)]
    for symbol, pairs in (("·", line), ("o", dots)):
        for x, y in pairs:
            cells[HEIGHT - 1 - row(y)][column(x)] = symbol
    return [*_frame(cells, min(ys), max(ys)), *_labels(x_name, y_name, min(xs), max(xs))]


def _pairs(rows: Sequence[Row], x_name: str, y_name: str) -> list[tuple[float, float]]:
    pairs = [(row.get(x_name), row.get(y_name)) for row in rows]
    return [(float(x), float(y)) for x, y in pairs if isinstance(x, int | float) and isinstance(y, int | float)]


def _scale(values: Sequence[float], cells: int) -> Callable[[float], int]:
    """A mapping of the values' range to 0 … cells - 1."""
    low, high = min(values), max(values)
    if low > 0 and high / low > LOG_RATIO:
        return lambda value: round((math.log(value) - math.log(low)) / (math.log(high) - math.log(low)) * (cells - 1))
    return lambda value: round((value - low) / (high - low) * (cells - 1))


def _frame(cells: Sequence[Sequence[str]], low: float, high: float) -> list[str]:
    labels = [f"{high:.4g}", *[""] * (len(cells) - 2), f"{low:.4g}"]
    margin = max(map(len, labels))
    return [f"{label:>{margin}} │{''.join(row).rstrip()}" for label, row in zip(labels, cells, strict=True)]


def _labels(x_name: str, y_name: str, low: float, high: float) -> list[str]:
    return [f"{y_name} over {x_name}, {low:.4g} to {high:.4g} (· the law, o what was fitted)"]
