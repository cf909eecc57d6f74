"""Paired differences between methods with their simultaneous intervals: a forest plot."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.plots.style import BLUE, GREEN, GREY, Json, drawn_note, label, layout, text
from studies.formulas.formula import Coefficient, Formula

ALPHA = 0.05
"""Below it Holm's p decides a sign."""
HALF_ROW = 0.35
"""Half the height of a claim's region, in rows."""
MOST_ROWS = 15
"""All pairs of six methods; of more methods, pairs that nothing is claimed of are left out (assumed: readable)."""
ROW_HEIGHT, AROUND = 24, 110
"""Pixels, of a row and of what is around all of them."""
Row = Mapping[str, Any]


def comparison_figure(formula: Formula) -> Json:
    """A row for each pair: its difference and interval, over the region that the paper's claim gives it."""
    metric = formula.evidence["axes"][1]
    pairs = _shown(formula)
    rows = list(enumerate(reversed(pairs)))
    span = _span(pairs)
    x_axis = {"title": {"text": text(f"difference in {label(metric)}")}, "type": "linear", "automargin": True}
    y_axis = {
        "type": "linear",
        "tickmode": "array",
        "tickvals": [place for place, _ in rows],
        "ticktext": [_name(row) for _, row in rows],
        "range": [-0.7, max(len(rows), 1) - 0.3],
        "automargin": True,
        "zeroline": False,
    }
    decided = [(place, row) for place, row in rows if row["p_holm"] <= ALPHA]
    open_ = [(place, row) for place, row in rows if row["p_holm"] > ALPHA]
    data = [
        *_regions(formula, rows, span),
        _line_at_zero(len(rows)),
        *_differences(decided, "differs from zero", BLUE),
        *_differences(open_, "sign not decided", GREY),
    ]
    height = {"height": ROW_HEIGHT * len(rows) + AROUND}
    notes = drawn_note(len(pairs), len(formula.evidence["pairs"]), "pairs: with the reference, and the paper's")
    return {
        "data": data if rows else [],
        "layout": layout({**x_axis, "range": list(span)}, y_axis, **height, annotations=notes),
    }


def _shown(formula: Formula) -> Sequence[Row]:
    """All pairs; of many, those with the reference and those that the paper claims something of."""
    pairs: Sequence[Row] = formula.evidence["pairs"]
    if len(pairs) <= MOST_ROWS:
        return pairs
    reference = formula.evidence["reference"]
    return [row for row in pairs if row["first"] == reference or _claimed(formula, row) is not None]


def _claimed(formula: Formula, row: Row) -> Coefficient | None:
    """The coefficient of a pair that the paper claims something of."""
    alone = row["first"] == formula.evidence["reference"]
    found = formula.coefficients.get(row["second"] if alone else f"{row['second']}_minus_{row['first']}")
    return found if found is not None and found.paper is not None else None


def _span(pairs: Sequence[Row]) -> tuple[float, float]:
    ends = [0.0, *(row["low"] for row in pairs), *(row["high"] for row in pairs)]
    ends += [side * row["margin"] for row in pairs if "margin" in row for side in (-1, 1)]
    room = 0.08 * (max(ends) - min(ends)) or 1.0
    return min(ends) - room, max(ends) + room


def _name(row: Row) -> str:
    return text(f"{_words(row['second'])} − {_words(row['first'])}")


def _words(method: str) -> str:
    return method.replace("_", " ")


def _regions(formula: Formula, rows: Sequence[tuple[int, Row]], span: tuple[float, float]) -> list[Json]:
    """The paper's region of each pair that has a claim."""
    found: list[Json] = []
    for place, row in rows:
        claimed = _claimed(formula, row)
        if claimed is None or claimed.paper is None:
            continue
        low, high = (limit if end is None else end for end, limit in zip(claimed.paper.region, span, strict=True))
        found.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"paper's {claimed.paper.formula}",
                "legendgroup": "paper",
                "showlegend": not found,
                "x": [low, high, high, low],
                "y": [place - HALF_ROW, place - HALF_ROW, place + HALF_ROW, place + HALF_ROW],
                "fill": "toself",
                "fillcolor": "rgba(31, 157, 118, 0.14)",
                "line": {"width": 0, "color": GREEN},
                "hoverinfo": "skip",
            }
        )
    return found


def _line_at_zero(rows: int) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "showlegend": False,
        "x": [0, 0],
        "y": [-0.7, rows - 0.3],
        "line": {"color": GREY, "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
    }


def _differences(rows: Sequence[tuple[int, Row]], name: str, colour: str) -> list[Json]:
    if not rows:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": [row["difference"] for _, row in rows],
            "y": [place for place, _ in rows],
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": [row["high"] - row["difference"] for _, row in rows],
                "arrayminus": [row["difference"] - row["low"] for _, row in rows],
                "thickness": 1.6,
                "width": 4,
            },
            "customdata": [[_name(row), row["pairs"], row["p_holm"]] for _, row in rows],
            "hovertemplate": "%{customdata[0]}<br>%{x:.3g}<br>%{customdata[1]} pairs, Holm's p %{customdata[2]:.2g}"
            "<extra></extra>",
            "marker": {"size": 9, "color": colour},
        }
    ]
