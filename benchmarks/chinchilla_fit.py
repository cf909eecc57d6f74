"""Whether the scaling law's estimator gives the published numbers on the Chinchilla runs that were read off a figure.

The runs are those of Besiroglu et al. 2024 (arXiv 2404.10102), beside this checkout in
``../shared/data/results/chinchilla_245_runs.csv``. As there, the five highest losses are dropped; that is this
comparison's choice and no part of the law.
"""

import csv
from pathlib import Path

from studies.formulas.observations import FitContext, Observation
from studies.formulas.scaling.law import fit_scaling
from studies.records import TrialState

TABLE = Path(__file__).parents[2] / "shared" / "data" / "results" / "chinchilla_245_runs.csv"
DROPPED = 5
PUBLISHED = {"alpha": (0.348, 0.01), "beta": (0.366, 0.01), "E": (1.817, 0.02)}
"""Value, and how far the estimate may be from it."""


def read_runs() -> list[Observation]:
    """The runs, lowest loss first; none when the table is not there."""
    if not TABLE.is_file():
        return []
    with TABLE.open(encoding="utf-8") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    rows.sort(key=lambda row: row["validation_loss"])
    return [Observation(number, TrialState.COMPLETE, {}, row, {}) for number, row in enumerate(rows)]


def measure() -> float | None:
    """The smallest quotient of the allowed and the actual distance."""
    runs = read_runs()
    if not runs:
        return None
    formula = fit_scaling(runs[:-DROPPED], FitContext(("chinchilla",), "validation_loss"))[0]
    quotients = []
    for name, (value, allowed) in PUBLISHED.items():
        found = formula.coefficients[name]
        assert found.estimate is not None
        quotients.append(allowed / abs(found.estimate - value))
        print(f"{name}: {found.estimate:.4f} ({found.low:.4f} to {found.high:.4f}), published {value} ± {allowed}")
    print(formula.statement, formula.verdict, *formula.reasons, sep="\n")
    print("error on the left-out largest runs:", formula.evidence["rivals"])
    return min(quotients)
