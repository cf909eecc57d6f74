"""The lowest coverage of the 95 % intervals over every planted scenario of every law."""

from itertools import chain

from benchmarks.formula_coverage import SCENARIOS, SEED
from studies.formulas.simulation.coverage import tally

STUDIES = 100
"""Of each scenario; the standard error of a coverage of 0.95 is then 0.022. The long form is formula_coverage.py."""


def measure() -> float:
    """The lowest coverage; the scenario that has it is printed."""
    lowest, name = 1.0, ""
    for scenario in chain.from_iterable(SCENARIOS.values()):
        covered = tally(scenario, STUDIES, SEED).covered
        print(f"{scenario.name}: {covered:.3f}", flush=True)
        if covered < lowest:
            lowest, name = covered, scenario.name
    print(f"lowest: {lowest:.3f} ({name}), {STUDIES} studies each")
    return lowest
