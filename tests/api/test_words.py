"""Numbers and durations as people read them."""

import math

import pytest

from api.web.words import duration, number


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (3.31, "3.31"),
        (2.224876, "2.225"),
        (0.0003453, "0.0003453"),
        (1052, "1052"),
        (524288, "524\N{NARROW NO-BREAK SPACE}288"),
        (26674.71, "26\N{NARROW NO-BREAK SPACE}675"),
        (214663680, "214.7M"),
        (1e11, "100B"),
        (6e17, "6e+17"),
        (-0.078427, "-0.07843"),
        (math.inf, "inf"),
        (None, "–"),
        ("<b>", "<b>"),
        (True, "True"),
    ],
)
def test_says_numbers(value: object, said: str) -> None:
    assert number(value) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h"), (3900, "1 h 5 min"), (90_000, "1 d 1 h"), (-5, "0 s")],
)
def test_says_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said
