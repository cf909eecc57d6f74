"""Errors and power of the extrapolation gate on planted validations.

Run ``python benchmarks/validation_gate.py [validations]`` for the long form; 2000 of each scenario take some minutes.
"""

import sys

from studies.validation.simulation import SCENARIOS, tally

SEED = 2024
MAX_FALSE, MIN_COVERAGE = 0.05, 0.92
SHORT = 300


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
    """The share of validations that is right in the scenario with the most false verdicts, in the short form."""
    worst, name = 0.0, ""
    for scenario in SCENARIOS:
        found = tally(scenario, SHORT, SEED)
        false = found.false_passes + found.false_failures
        print(f"{scenario.name}: false {false:.3f}, decided {found.decided:.3f}", flush=True)
        if false >= worst:
            worst, name = false, scenario.name
    print(f"most false verdicts: {worst:.3f} ({name}), {SHORT} validations each")
    return 1 - worst


if __name__ == "__main__":
    main()
