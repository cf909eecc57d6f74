"""The importance of layers as a table."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from model.inheritance.layers import LayerImportance

BARS = " ▁▂▃▄▅▆▇█"


def layer_table(importance: LayerImportance, kept: Sequence[int] = ()) -> Table:
    """One line a layer: bits per byte without it, and without it and the one or two layers behind it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layer", justify="right")
    for count in range(1, len(importance.skipped) + 1):
        table.add_column("without it" if count == 1 else f"and {count - 1} more", justify="right")
    table.add_column("lost", justify="left")
    if kept:
        table.add_column("kept")
    losses = [importance.cost(layer, 1) if importance.skipped else 0.0 for layer in range(importance.depth)]
    for layer in range(importance.depth):
        values = [f"{row[layer]:.4f}" if layer < len(row) else "" for row in importance.skipped]
        mark = [Text("yes" if layer in kept else "no", style="" if layer in kept else "dim")] if kept else []
        table.add_row(str(layer), *values, _bar(losses[layer], max(losses)), *mark)
    return table


def _bar(loss: float, largest: float) -> str:
    """What one layer costs, in eighths of the costliest."""
    share = loss / largest if largest > 0 else 0.0
    return f"{BARS[round(8 * min(max(share, 0.0), 1.0))]} {loss:+.4f}"
