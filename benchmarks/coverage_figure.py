"""The lowest coverage of the 95 % intervals over every planted scenario of both laws."""

from benchmarks.formula_coverage import SEED
from studies.formulas.simulation.coverage import DEPTH_WIDTH_SCENARIOS, RATE_BATCH_SCENARIOS, tally

STUDIES = 100
"""Of each scenario; the standard error of a coverage of 0.95 is then 0.022. The long form is formula_coverage.py."""


def measure() -> float:
    """The lowest coverage; the scenario that has it is printed."""
    lowest, name = 1.0, ""
    for scenario in (*RATE_BATCH_SCENARIOS, *DEPTH_WIDTH_SCENARIOS):
        covered = tally(scenario, STUDIES, SEED).covered
        print(f"{scenario.name}: {covered:.3f}", flush=True)
        if covered < lowest:
            lowest, name = covered, scenario.name
    print(f"lowest: {lowest:.3f} ({name}), {STUDIES} studies each")
    return lowest
