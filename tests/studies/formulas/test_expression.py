"""A formula's expression is arithmetic, and nothing else."""

import math

import pytest

from studies.formulas.expression import names_of, value_of


def test_arithmetic_and_its_names():
    expression = "-exp(a) * max(1, x / b) ** r + log2(8)"
    assert value_of(expression, {"a": 1.0, "x": 8.0, "b": 2.0, "r": 0.5}) == pytest.approx(3 - math.e * 2)
    assert names_of(expression) == {"a", "x", "b", "r"}


@pytest.mark.parametrize(
    "expression",
    ["__import__('os').getcwd()", "a.real", "[a]", "a if a else 1", "lambda: a", "open(a)", "'text'", "True", "a == 1"],
)
def test_anything_else_is_refused(expression):
    with pytest.raises(ValueError, match="is not arithmetic"):
        value_of(expression, {"a": 1.0})


def test_powers_are_of_doubles():
    with pytest.raises(OverflowError):
        value_of("9 ** 9 ** 9", {})
