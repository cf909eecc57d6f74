"""The short form of benchmarks/formula_coverage.py: 160 studies a law over the scenarios that matter most."""

import pytest

from studies.formulas.simulation.coverage import DEPTH_WIDTH_SCENARIOS, RATE_BATCH_SCENARIOS, tally

STUDIES = 40
MIN_COVERAGE, MAX_FALSE = 0.92, 0.05
"""The goals of the long form."""
COVERAGE_SLACK, FALSE_SLACK = 0.085, 0.07
"""Two standard errors of shares of 0.92 and 0.05 over 40 studies."""
BY_NAME = {scenario.name: scenario for scenario in (*RATE_BATCH_SCENARIOS, *DEPTH_WIDTH_SCENARIOS)}


@pytest.mark.parametrize(
    ("name", "decided"),
    [
        ("r=0.5, 1 grid of 7 batches x 9 rates", 0.7),
        ("r=0.5, 5 rates, edges censored", 0.0),
        ("r=0.5, jitter 0.15", 0.0),
        ("r=0.2, 1 grid", 0.95),
        ("U at 5, 20 architectures x 4 rates", 0.9),
        ("U at 5, skewed 0.4", 0.9),
        ("falls 0.02 a doubling", 0.9),
        ("no effect of depth", 0.85),
    ],
)
def test_intervals_cover_and_verdicts_are_true(name, decided):
    result = tally(BY_NAME[name], STUDIES, seed=1)
    assert result.covered >= MIN_COVERAGE - COVERAGE_SLACK
    assert result.false <= MAX_FALSE + FALSE_SLACK
    assert result.decided >= decided


def test_scenario_names_are_unique():
    assert len(BY_NAME) == len(RATE_BATCH_SCENARIOS) + len(DEPTH_WIDTH_SCENARIOS)
