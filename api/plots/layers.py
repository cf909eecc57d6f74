"""What a network loses without some of its layers."""

from collections.abc import Sequence

from api.plots.style import BLUE, GREEN, GREY, ORANGE, Json, layout
from model.inheritance.layers import LayerImportance

STYLES = (("1 layer skipped", BLUE, "circle"), ("2 layers", ORANGE, "diamond"), ("3 layers", GREEN, "square"))


def layer_figure(importance: LayerImportance | None, kept: Sequence[int] = ()) -> Json:
    """Bits per byte by the middle of the skipped layers; those that a smaller network keeps have a ground."""
    if importance is None:
        return _empty()
    traces = [_trace(row, count, importance) for count, row in enumerate(importance.skipped, start=1)]
    bits = [value for row in importance.skipped for value in row]
    yaxis = {"title": {"text": "bits per byte"}, "automargin": True}
    xaxis = {"title": {"text": "skipped layers (middle)"}, "automargin": True, "dtick": 1}
    if bits and max(bits) > 1.5 * importance.bits_per_byte:  # an end would flatten all others
        yaxis["type"] = "log"
    whole = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": importance.bits_per_byte}
    whole |= {"y1": importance.bits_per_byte, "line": {"color": GREY, "width": 1, "dash": "dot"}}
    return {"data": traces, "layout": layout(xaxis, yaxis, shapes=[whole, *map(_ground, kept)])}


def _trace(row: Sequence[float], count: int, importance: LayerImportance) -> Json:
    name, colour, symbol = STYLES[count - 1]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [first + (count - 1) / 2 for first in range(len(row))],
        "y": list(row),
        "customdata": [[_layers(first, count), value - importance.bits_per_byte] for first, value in enumerate(row)],
        "hovertemplate": "without %{customdata[0]}<br>%{y:.4f} bits per byte (%{customdata[1]:+.4f})<extra></extra>",
        "line": {"color": colour, "width": 2},
        "marker": {"color": colour, "symbol": symbol, "size": 8},
    }


def _layers(first: int, count: int) -> str:
    return f"layer {first}" if count == 1 else f"layers {first} to {first + count - 1}"


def _ground(layer: int) -> Json:
    place = {"xref": "x", "x0": layer - 0.4, "x1": layer + 0.4, "yref": "paper", "y0": 0, "y1": 1}
    return {"type": "rect", **place, "fillcolor": BLUE, "opacity": 0.08, "line": {"width": 0}, "layer": "below"}


def _empty() -> Json:
    said = "no trial with a table of layers has ended yet"
    note = {"xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "text": said, "showarrow": False}
    return {"data": [], "layout": layout({"visible": False}, {"visible": False}, annotations=[note])}
