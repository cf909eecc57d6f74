"""What a vocabulary costs and covers, by its size."""

from collections.abc import Callable, Sequence

from api.plots.style import BLUE, GREEN, ORANGE, SYMBOLS, Json, axis, layout, text
from model.tokenizer.coverage import MAX_SHARE, MIN_COVERAGE, Report, Size, Way

SHARES, BYTES = "y", "y2"


def tokenizer_sizes(report: Report) -> Json:
    """Build the figure: shares on the left axis, bytes per token on the right one, a symbol for each way."""
    ways = tuple(dict.fromkeys(size.method for size in report.sizes))
    traces = [trace for place, way in enumerate(ways) for trace in _of_way(report.sizes, way, SYMBOLS[place])]
    if ways:
        first = [size for size in report.sizes if size.method == ways[0]]
        traces.append(_line("embedding share", first, lambda size: size.embedding_share, ORANGE, "circle", SHARES))
    sizes = [size.vocabulary_size for size in report.sizes]
    return {
        "data": traces,
        "layout": layout(
            axis("vocabulary_size", sizes),
            {"title": {"text": "share"}, "tickformat": ".0%", "automargin": True, "rangemode": "tozero"},
            yaxis2={"title": {"text": "bytes per token"}, "overlaying": "y", "side": "right", "automargin": True},
            shapes=[_limit(MIN_COVERAGE, BLUE), _limit(MAX_SHARE, ORANGE)],
        ),
    }


def _of_way(sizes: Sequence[Size], way: Way, symbol: str) -> list[Json]:
    rows = [size for size in sizes if size.method == way]
    covered = [row for row in rows if row.coverage is not None]
    lines = [_line(f"bytes per token, {way}", rows, lambda size: size.bytes_per_token, GREEN, symbol, BYTES)]
    if covered:
        lines.append(_line(f"coverage, {way}", covered, lambda size: size.coverage, BLUE, symbol, SHARES))
    return lines


def _line(
    name: str, rows: Sequence[Size], value: Callable[[Size], float | None], colour: str, symbol: str, yaxis: str
) -> Json:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": text(name),
        "x": [row.vocabulary_size for row in rows],
        "y": [value(row) for row in rows],
        "yaxis": yaxis,
        "line": {"color": colour, "width": 2},
        "marker": {"color": colour, "symbol": symbol, "size": 8},
    }


def _limit(share: float, colour: str) -> Json:
    """A line at what the paper's rule asks for."""
    place = {"xref": "paper", "x0": 0, "x1": 1, "y0": share, "y1": share}
    return {"type": "line", **place, "line": {"color": colour, "width": 1, "dash": "dot"}}
