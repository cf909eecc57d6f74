"""Windows of the profiles: averaged, or the one with the smallest error on grids left out?

Run ``python -m benchmarks.window_choice [studies]``. On planted surfaces, for the exponent e of B*(D): the root mean
square of its error with each window of ``optima.BATCH_HALF_WIDTHS`` alone, with the window that is chosen by the error
on grids left out, with windows weighted by that error (a pseudo-likelihood), and with the average.
"""

import math
import sys
from collections.abc import Sequence

import numpy as np

from studies.formulas.fitting.fit import held_out_errors, root_mean_square
from studies.formulas.learning_rate_batch.best_batch import best_batch_problem, fit_best_batch
from studies.formulas.learning_rate_batch.cells import Cell, build_table
from studies.formulas.learning_rate_batch.joint_table import JointTable, build_joint_table
from studies.formulas.learning_rate_batch.optima import BATCH_HALF_WIDTHS, best_batches
from studies.formulas.simulation.coverage import CONTEXT
from studies.formulas.simulation.surfaces import SurfacePlan, plant_surfaces

SEED = 2024
REFERENCE = 2.0**18


def exponents(cells: Sequence[Cell]) -> dict[str, float]:
    """E by each way of using windows."""
    found, errors = [], []
    for half_width in BATCH_HALF_WIDTHS:
        exponent, error = _exponent(_table(cells, (half_width,)))
        found.append(exponent)
        errors.append(error)
    logs = -len({cell.group for cell in cells}) * np.log(errors)
    weights = np.exp(logs - logs.max())
    return {
        **{f"window {width}": value for width, value in zip(BATCH_HALF_WIDTHS, found, strict=True)},
        "chosen": found[int(np.argmin(errors))],
        "weighted": float(weights @ found / weights.sum()),
        "averaged": _exponent(_table(cells, BATCH_HALF_WIDTHS))[0],
    }


def _table(cells: Sequence[Cell], half_widths: Sequence[float]) -> JointTable:
    response = np.array([cell.profile.log_rate for cell in cells])
    optima = best_batches(cells, half_widths)
    table = build_joint_table(cells, response, optima, 0.0, "non_embedding_parameters", REFERENCE)
    assert table is not None
    return table


def _exponent(table: JointTable) -> tuple[float, float]:
    """e, and the error in ln B* of grids left out."""
    best, problem = fit_best_batch(table), best_batch_problem(table)
    assert best is not None
    assert problem is not None
    return best.exponent, root_mean_square(held_out_errors(problem[0], best.fit.jitter))


def main() -> None:
    """Print the error of each way."""
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    plan, generator = SurfacePlan(), np.random.default_rng(SEED)
    drawn = [exponents(build_table(plant_surfaces(plan, generator), CONTEXT).cells) for _ in range(studies)]
    for name in drawn[0]:
        errors = [each[name] - plan.batch_exponent for each in drawn]
        print(f"{name:12s} error of e {math.sqrt(np.mean(np.square(errors))):.4f}, mean {np.mean(errors):+.4f}")


if __name__ == "__main__":
    main()
