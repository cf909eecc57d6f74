"""Simpler surfaces: how much worse they predict networks that were left out."""

import numpy as np

from studies.formulas.fitting.fit import root_mean_square
from studies.formulas.shrink.surface import Floats, Shape, regression


def rival_errors(shape: Shape) -> dict[str, float]:
    """Leave-one-out error of the loss, root mean square in units of the metric.

    ``drifting_shape`` is the law; in ``one_shape`` the best shape is the same at every budget; in ``no_shape`` the
    loss does not depend on the shape.
    """
    columns = shape.columns
    free, count = len(shape.free), columns.shape[1]
    drift = set(range(3 + free, 3 + 2 * free))
    shapes = set(range(3, count - shape.covariates.shape[1]))
    kept = {
        "drifting_shape": range(count),
        "one_shape": [index for index in range(count) if index not in drift],
        "no_shape": [index for index in range(count) if index not in shapes],
    }
    return {name: root_mean_square(_left_out(columns[:, list(own)], shape.loss)) for name, own in kept.items()}


def _left_out(columns: Floats, loss: Floats) -> Floats:
    return np.asarray(regression(columns, loss)[3], dtype=np.float64)
