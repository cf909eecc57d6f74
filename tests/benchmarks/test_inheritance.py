"""What the report on inheritance reads off learning curves."""

import math

import pytest

from benchmarks.inheritance.report import Student, at_best_rate, token_ratios, tokens_to_reach

CURVE = [(100.0, 4.0), (200.0, 3.0), (300.0, 2.0)]


@pytest.mark.parametrize(
    ("value", "tokens"), [(3.0, 200.0), (2.5, 250.0), (2.0, 300.0), (1.9, math.inf), (4.5, 100.0), (4.0, 100.0)]
)
def test_tokens_lie_on_the_line_between_evaluations(value, tokens):
    assert tokens_to_reach(CURVE, value) == tokens


def test_a_run_that_diverged_reaches_nothing():
    assert tokens_to_reach([], 2.0) == math.inf


def test_each_method_counts_at_its_own_best_rate():
    students = [
        Student("none", 0, 1e-3, 2.0, CURVE),
        Student("none", 0, 1e-2, 2.1, CURVE),
        Student("l1", 0, 1e-3, 2.0, CURVE),
        Student("l1", 0, 1e-2, 1.5, [(100.0, 3.0), (200.0, 2.0), (300.0, 1.5)]),
        Student("l1", 1, 1e-2, math.inf, []),
    ]
    chosen = at_best_rate([student for student in students if student.seed == 0])
    assert {method: by_seed[0].learning_rate for method, by_seed in chosen.items()} == {"none": 1e-3, "l1": 1e-2}
    assert token_ratios(chosen["l1"], chosen["none"]) == [pytest.approx(200 / 300)]
