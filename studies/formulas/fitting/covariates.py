"""Columns of a regression for what varies beside the variable of interest."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from search.events import Value

MAX_DUMMY_LEVELS = 4
"""A number with at most this many values is a factor (assumed), else log-linear."""
ROWS_A_LEVEL = 4
"""Each level of a factor has, on average, at least this many rows (assumed)."""


def covariate_columns(
    rows: Sequence[Mapping[str, Value]], left_out: frozenset[str]
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Centred columns for all parameters that vary, but ``left_out``.

    Few values become indicator columns (fixed effects), many become log2 of the number (linear if not positive).

    Returns:
        Column names, and columns of shape (rows, columns).
    """
    names: list[str] = []
    columns: list[NDArray[np.float64]] = []
    for name in sorted({name for row in rows for name in row} - left_out):
        values = [row.get(name) for row in rows]
        distinct = sorted(set(values), key=repr)
        if len(distinct) < 2:
            continue
        numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in distinct)
        if numeric and (len(distinct) > MAX_DUMMY_LEVELS or len(rows) < ROWS_A_LEVEL * len(distinct)):
            names.append(name)
            columns.append(_numeric([float(value) for value in values if value is not None]))
        else:
            names += [f"{name}={value}" for value in distinct[1:]]
            columns += [np.array([float(value == level) for value in values]) for level in distinct[1:]]
    matrix = np.column_stack(columns) if columns else np.zeros((len(rows), 0))
    return tuple(names), matrix - matrix.mean(axis=0)


def _numeric(values: Sequence[float]) -> NDArray[np.float64]:
    return np.array([math.log2(value) for value in values] if min(values) > 0 else values)
