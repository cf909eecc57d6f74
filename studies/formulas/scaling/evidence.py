"""What a scaling law shows: its points, lines of equal size, the frontier of the best configs, rivals and residuals."""

import math
from functools import partial
from typing import Any

import numpy as np

from studies.formulas.evaluation import bounded_exp
from studies.formulas.observations import FitContext
from studies.formulas.scaling.analysis import NAMES, Analysis
from studies.formulas.scaling.cells import Table
from studies.formulas.scaling.optimum import log_best, log_loss
from studies.formulas.scaling.published import PUBLISHED

FRONTIER_POINTS = 25
LINE_POINTS = 13
MAX_LINES = 8
"""Lines of equal size that are drawn (assumed: more cannot be told apart)."""


def points(table: Table, context: FitContext) -> list[dict[str, Any]]:
    """The cells; ``group`` counts the sizes from the smallest."""
    return [
        {
            "group": int(group),
            "compute": float(compute),
            context.metric: cell.cost,
            table.size_name: cell.size,
            table.length_name: cell.length,
            "runs": cell.runs,
        }
        for cell, group, compute in zip(table.cells, table.clusters, table.compute, strict=True)
    ]


def evidence(analysis: Analysis, context: FitContext) -> dict[str, Any]:
    """Everything but what ``Formula`` has fields for."""
    table, law = analysis.table, analysis.law
    return {
        "points": points(table, context),
        "curve": _frontier(analysis, context),
        "lines": _lines(analysis, context),
        "axes": ["compute", context.metric],
        "residuals": analysis.found.residuals.tolist(),
        "covariance": {
            "names": list(NAMES),
            "matrix": law.covariance.tolist(),
            "multiplier": law.multiplier,
            "logs": ["E", "A", "B"],
            "logarithmic": True,
        },
        "rivals": dict(analysis.rivals),
        "held_out_cells": analysis.held_out,
        "clusters": int(table.clusters.max()) + 1,
        "degrees_of_freedom": analysis.freedom,
        "compute_factor": table.compute_factor,
        "published": {name: dict(values) for name, values in PUBLISHED.items()},
    }


def _frontier(analysis: Analysis, context: FitContext) -> list[dict[str, float]]:
    """The lowest loss at each compute. How the best config itself moves changes it in second order only."""
    table, law = analysis.table, analysis.law
    rows: list[dict[str, float]] = []
    for compute in np.geomspace(table.compute.min(), table.compute.max(), FRONTIER_POINTS):
        size, length = (bounded_exp(log) for log in log_best(law.parameters, math.log(compute / law.compute_factor)))
        loss = law.interval(partial(log_loss, size=size, length=length))
        rows.append(
            {
                "compute": float(compute),
                context.metric: bounded_exp(loss.estimate),
                "low": bounded_exp(loss.low),
                "high": bounded_exp(loss.high),
                table.size_name: size,
                table.length_name: length,
            }
        )
    return rows


def _lines(analysis: Analysis, context: FitContext) -> list[dict[str, Any]]:
    """The fitted loss of some of the sizes over the range of their lengths; ``group`` as in ``points``."""
    table, law = analysis.table, analysis.law
    groups = table.clusters
    chosen = np.unique(np.linspace(0, int(groups.max()), MAX_LINES).round().astype(int))
    lines = []
    shortest, longest = (end(cell.length for cell in table.cells) for end in (min, max))
    for group in chosen:
        own = [cell for cell, place in zip(table.cells, groups, strict=True) if place == group]
        size = own[0].size
        lengths = np.geomspace(shortest, longest, LINE_POINTS)
        rows = [
            {
                "compute": table.compute_factor * size * float(length),
                context.metric: bounded_exp(log_loss(law.parameters, size, float(length))),
            }
            for length in lengths
        ]
        lines.append({"group": int(group), table.size_name: size, "rows": rows})
    return lines
