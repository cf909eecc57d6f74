"""Everything that is computed for a scaling law: fit, covariance, error on the largest runs, rivals."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from studies.formulas.scaling.cells import Table
from studies.formulas.scaling.estimator import Estimate, covariance, estimate
from studies.formulas.scaling.forms import CHINCHILLA, RIVALS, Data, Floats, Form
from studies.formulas.scaling.optimum import Law
from studies.formulas.verdicts import LEVEL

HELD_OUT_SHARE = 0.15
"""Of the cells, those of the largest compute, that are left out to measure the error (assumed)."""
SIZE_TERMS = 3
"""Numbers that only differences between sizes tell: E, A and alpha (derived)."""
NAMES = ("E", "A", "alpha", "B", "beta")


@dataclass(frozen=True, slots=True)
class Analysis:
    """A fitted law and what was measured of it."""

    table: Table
    found: Estimate
    law: Law
    rivals: Mapping[str, float]
    """Error of each form on the left-out cells of the largest compute, root mean square in units of the metric."""
    held_out: int
    """Cells left out for it."""
    freedom: int
    """Degrees of freedom of the intervals."""


def analyse(table: Table) -> Analysis:
    """Fit the law and its rivals."""
    data, clusters = table.data, table.clusters
    found = estimate(CHINCHILLA, data)
    freedom = max(min(len(data.loss) - len(NAMES), int(clusters.max()) + 1 - SIZE_TERMS), 1)
    multiplier = float(stdtrit(freedom, (1 + LEVEL) / 2))
    to_published = _uncentred(data)
    law = Law(
        to_published @ found.parameters,
        to_published @ covariance(found, clusters) @ to_published.T,
        multiplier,
        table.compute_factor,
    )
    largest = _largest(table.compute)
    rivals = {name: _error(form, data, largest) for name, form in {"additive": CHINCHILLA, **RIVALS}.items()}
    return Analysis(table, found, law, rivals, int(largest.sum()), freedom)


def _uncentred(data: Data) -> Floats:
    """Matrix from parameters about the centres to those at N = D = 1."""
    matrix = np.eye(len(NAMES))
    matrix[1, 2], matrix[3, 4] = data.size_centre, data.length_centre
    return matrix


def _largest(compute: Floats) -> NDArray[np.bool_]:
    """The cells of the largest compute, and those as large as the smallest of them."""
    count = max(math.ceil(HELD_OUT_SHARE * len(compute)), 1)
    return np.asarray(compute >= np.sort(compute)[-count] * (1 - 1e-6))


def _error(form: Form, data: Data, left_out: NDArray[np.bool_]) -> float:
    """Root mean square error of the loss where the form was fitted to the other cells."""
    found = estimate(form, data.only(~left_out))
    rest = data.only(left_out)
    fitted, _ = form.predict(found.parameters[None], rest)
    return float(np.sqrt(np.mean((np.exp(np.minimum(fitted[0], 200.0)) - np.exp(rest.loss)) ** 2)))
