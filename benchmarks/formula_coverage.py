"""Coverage, false verdicts and power of the fitted laws on planted data, in the long form.

Run ``python benchmarks/formula_coverage.py [studies [law …]]``; 1000 studies a scenario take about an hour on one core.
"""

import sys
import time
from collections.abc import Mapping

from studies.formulas.simulation.comparisons import COMPARISON_SCENARIOS
from studies.formulas.simulation.coverage import DEPTH_WIDTH_SCENARIOS, RATE_BATCH_SCENARIOS, Scenario, tally
from studies.formulas.simulation.depth_variants import EQUAL_AMOUNT_SCENARIOS, GROWTH_SCENARIOS, KNEE_SCENARIOS
from studies.formulas.simulation.scaling_scenarios import SCALING_SCENARIOS
from studies.formulas.simulation.shrink_scenarios import SHRINK_SCENARIOS
from studies.formulas.simulation.vocabularies import VOCABULARY_SCENARIOS

SEED = 2024
MIN_COVERAGE, MAX_FALSE = 0.92, 0.05
SCENARIOS: Mapping[str, tuple[Scenario, ...]] = {
    "learning_rate_batch": RATE_BATCH_SCENARIOS,
    "depth_width": DEPTH_WIDTH_SCENARIOS,
    "equal_amounts": EQUAL_AMOUNT_SCENARIOS,
    "knee": KNEE_SCENARIOS,
    "growth": GROWTH_SCENARIOS,
    "vocabulary": VOCABULARY_SCENARIOS,
    "scaling": SCALING_SCENARIOS,
    "shrink": SHRINK_SCENARIOS,
    "comparisons": COMPARISON_SCENARIOS,
}
"""By law."""


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
    """Run every scenario of the named laws, or of all."""
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for law in sys.argv[2:] or SCENARIOS:
        report(law, SCENARIOS[law], studies)


if __name__ == "__main__":
    main()
