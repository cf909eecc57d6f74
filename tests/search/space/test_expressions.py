"""Constraints as arithmetic: what is read, what it means, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import InvalidInput
from search.space.expressions import parse_expression

NUMBERS = ("depth", "width", "learning_rate", "ffn_ratio")
TEXTS = ("block",)


def parse(text):
    return parse_expression(text, NUMBERS, TEXTS, "constraints.expressions.0")


@st.composite
def arithmetic(draw, depth=0):
    if depth > 3 or draw(st.booleans()):
        return draw(st.sampled_from([*NUMBERS, "2", "0.5", "1e-3", "7"]))
    left, right = draw(arithmetic(depth + 1)), draw(arithmetic(depth + 1))
    operation = draw(st.sampled_from(["+", "-", "*", "/", "** 2", "** -1", "** 0.5"]))
    return f"({left} {operation})" if operation.startswith("**") else f"({left} {operation} {right})"


@given(
    sides=st.lists(arithmetic(), min_size=2, max_size=4),
    signs=st.lists(st.sampled_from(["<", "<=", ">", ">=", "=="]), min_size=3, max_size=3),
    values=st.tuples(*(st.sampled_from([0.25, 1.0, 2.0, 3.0, 8.0, 64.0]) for _ in NUMBERS)),
)
def test_an_expression_means_what_python_means_by_it(sides, signs, values):
    text = sides[0] + "".join(f" {sign} {side}" for sign, side in zip(signs, sides[1:], strict=False))
    given_values = dict(zip(NUMBERS, values, strict=True))
    if not any(name in text for name in NUMBERS):
        return
    held = parse(text).holds({name: np.array([value]) for name, value in given_values.items()})
    try:
        amounts = [eval(side, {"__builtins__": {}}, given_values) for side in sides]  # noqa: S307
    except (ZeroDivisionError, OverflowError):
        return  # numpy goes on with infinity, of which the tests below say more
    real = all(isinstance(amount, float | int) and math.isfinite(amount) for amount in amounts)
    assert held.tolist() == [real and bool(eval(text, {"__builtins__": {}}, given_values))]  # noqa: S307


def test_rows_are_judged_one_by_one():
    expression = parse("2 <= depth * width <= 64")
    assert expression.names == ("depth", "width")
    rows = {"depth": np.array([1, 2, 8, 9]), "width": np.array([1, 1, 8, 8])}
    assert expression.holds(rows).tolist() == [False, True, True, False]


@pytest.mark.parametrize("text", ["1 / depth < 9", "1 / depth > 9", "depth / depth == 1", "(0 - 1 - depth) ** 0.5 < 3"])
def test_what_is_no_finite_number_satisfies_nothing(text):
    assert parse(text).holds({"depth": np.array([0])}).tolist() == [False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("depth", "column 1: is no comparison"),
        ("depth <", "column"),
        ("", "column"),
        ("depth < 3 and width < 4", "joins comparisons"),
        ("not depth < 3", "no comparison"),
        ("depth in (1, 2)", "does not compare numbers"),
        ("depth != 3", "does not compare numbers"),
        ("depth < (1, 2)", "column 9: is no arithmetic"),
        ("depth < [1][0]", "column 9: reads an element"),
        ("depth < width.real", "column 9: reads an attribute"),
        ("depth < max(1, width)", "column 9: calls a function"),
        ("__import__('os').system('true') < depth", "calls a function"),
        ("().__class__.__bases__[0] < depth", "reads an"),
        ("(lambda: 1)() < depth", "calls a function"),
        ("[x for x in 'ab'] < depth", "is no arithmetic"),
        ("(depth := 3) < 4", "assigns"),
        ("depth < (1 if width else 2)", "chooses"),
        ("depth < f'{width}'", "holds a text"),
        ("depth < 'a'", "'a' is no number"),
        ("depth < True", "True is no number"),
        ("depth < None", "None is no number"),
        ("depth < 1j", "1j is no number"),
        ("depth < ...", "Ellipsis is no number"),
        ("depth % 2 == 0", "is no arithmetic"),
        ("depth // 2 < 3", "is no arithmetic"),
        ("depth @ width < 3", "is no arithmetic"),
        ("~depth < 3", "is no arithmetic"),
        ("depth << 40 < 3", "is no arithmetic"),
        ("9**9**9 < depth", "column 4: has an exponent"),
        ("2**depth < 9", "exponent"),
        ("depth**99 < 9", "exponent"),
        ("depth**-(9) < 9", "exponent"),
        ("depth < 1e400", "above 1e+30"),
        ("depth < " + "9" * 400, "above 1e+30"),
        ("depth < 1e31", "above 1e+30"),
        ("1 < 2", "names no parameter"),
        ("block == 1", "block is a text"),
        ("dept < 3", "dept is not a parameter"),
        ("depth < 3\nwidth < 3", "column"),
        ("depth < 3; import os", "column"),
        ("(" * 240 + "depth" + ")" * 240 + " < 3", "column"),
        ("-" * 480 + "depth < 3", "nested deeper than 30"),
        ("+".join(["depth"] * 80) + " < 3", "nested deeper than 30"),
        ("depth < 3\0", "null bytes"),
        ("depth < 1if 2 else 3", "chooses"),
        ("dépth < 3", "is not a parameter"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_no_arithmetic_is_refused_with_its_place(text, said):
    with pytest.raises(InvalidInput) as caught:
        parse(text)
    assert said in caught.value.reason
    assert caught.value.field == "constraints.expressions.0"
    assert caught.value.remedy


def test_an_unknown_name_gets_a_guess():
    with pytest.raises(InvalidInput) as caught:
        parse("depth < widht")
    assert (caught.value.reason, caught.value.remedy) == (
        "column 9: widht is not a parameter, nor follows from them",
        "did you mean width?",
    )


@given(text=st.text(max_size=60) | st.text(alphabet="depthwi()*/+-<=>.,0123456789 ", max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        expression = parse(text)
    except InvalidInput:
        return
    assert expression.holds(dict.fromkeys(NUMBERS, np.array([1.0]))).dtype == bool
