"""Coverage, false verdicts and power of the fitted laws on planted data, in the long form.

Run ``python benchmarks/formula_coverage.py [studies]``; 1000 studies a scenario take about half an hour on one core.
"""

import sys
import time

from studies.formulas.simulation.coverage import DEPTH_WIDTH_SCENARIOS, RATE_BATCH_SCENARIOS, Scenario, tally

SEED = 2024
MIN_COVERAGE, MAX_FALSE = 0.92, 0.05


def report(title: str, scenarios: tuple[Scenario, ...], studies: int) -> None:
    """Print a line for each scenario; a figure short of its goal is marked with an asterisk."""
    print(f"\n{title}: {studies} studies each; goals: coverage >= {MIN_COVERAGE}, false <= {MAX_FALSE}")
    print(f"{'scenario':40s} {'covered':>8s} {'false':>8s} {'decided':>8s} {'ms':>6s}")
    for scenario in scenarios:
        start = time.perf_counter()
        result = tally(scenario, studies, SEED)
        spent = (time.perf_counter() - start) / studies * 1e3
        low = "*" if result.covered < MIN_COVERAGE else " "
        high = "*" if result.false > MAX_FALSE else " "
        figures = f"{result.covered:7.3f}{low} {result.false:7.3f}{high} {result.decided:7.3f}  {spent:6.0f}"
        print(f"{scenario.name:40s} {figures}", flush=True)


def main() -> None:
    """Run every scenario of both laws."""
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    report("learning_rate_batch", RATE_BATCH_SCENARIOS, studies)
    report("depth_width", DEPTH_WIDTH_SCENARIOS, studies)


if __name__ == "__main__":
    main()
