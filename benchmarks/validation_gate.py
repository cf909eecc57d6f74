"""Errors and power of the extrapolation gate on planted validations.

Run ``python benchmarks/validation_gate.py [validations]`` for the long form; 2000 of each scenario take some minutes.
"""

import sys

from studies.validation.simulation import MARGIN, SCENARIOS, tally

SEED = 2024
MAX_FALSE, MIN_COVERAGE = 0.05, 0.92
SHORT = 1000
"""Validations of each scenario in the figure; the standard error of a share of 0.05 is then 0.007."""


def main() -> None:
    """Print a line for each scenario."""
    validations = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print(f"{validations} validations of each scenario; goals: false <= {MAX_FALSE}, covered >= {MIN_COVERAGE}")
    print(f"{'scenario':75s} {'covered':>8s} {'false pass':>10s} {'false fail':>10s} {'decided':>8s}")
    for scenario in SCENARIOS:
        found = tally(scenario, validations, SEED)
        errors = f"{found.false_passes:10.3f} {found.false_failures:10.3f}"
        print(f"{scenario.name:75s} {found.covered:8.3f} {errors} {found.decided:8.3f}", flush=True)


def measure() -> float:
    """One less the share of false passes in the scenario that has most, of those in which none is right."""
    worst, name = 0.0, ""
    for scenario in (one for one in SCENARIOS if one.regret >= MARGIN):
        false = tally(scenario, SHORT, SEED).false_passes
        print(f"{scenario.name}: false passes {false:.3f}", flush=True)
        if false >= worst:
            worst, name = false, scenario.name
    print(f"most false passes: {worst:.3f} ({name}), {SHORT} validations each")
    return 1 - worst


if __name__ == "__main__":
    main()
