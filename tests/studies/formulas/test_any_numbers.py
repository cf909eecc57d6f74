"""Whatever numbers a table holds: formulas without a traceback, a warning, or a number that JSON lacks."""

import json
import math
import random
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.formulas.evaluation import LARGEST_LOG, bounded_exp
from studies.formulas.observations import FitContext, Observation, is_fittable
from studies.formulas.registry import fit_all
from studies.records import TrialState

CONTEXT = FitContext(("1",), "bits_per_byte")
SCALES = st.sampled_from([1.0, 1.0, 1.0, 1e-14, 1e-5, 1e25, 1e-320, 1e300, -1.0, 0.0])
LOSSES = {
    "bowl": lambda depth, rate: 2.5 + 0.05 * math.log(rate / 0.002) ** 2 + 0.04 * math.log2(depth / 4) ** 2,
    "constant": lambda depth, rate: 3.0,
    "falling": lambda depth, rate: 3.0 - math.log(rate),
}


def table(scales: dict[str, float], shape: str, noise: float) -> list[Observation]:
    generator = random.Random(0)
    rows: list[Observation] = []
    for depth in (2, 4, 8):
        for batch in (1024, 2048, 4096):
            for rate in (0.001, 0.002, 0.004, 0.008):
                loss = (LOSSES[shape](depth, rate) + generator.gauss(0, noise)) * scales["loss"]
                parameters = {
                    "depth": depth * scales["depth"],
                    "ffn_ratio": 2 * scales["ffn_ratio"],
                    "batch_tokens": batch * scales["batch_tokens"],
                    "learning_rate": rate * scales["learning_rate"],
                }
                rows.append(Observation(len(rows), TrialState.COMPLETE, parameters, {"bits_per_byte": loss}, {}))
    return rows


@settings(max_examples=60, deadline=None)
@given(
    scales=st.fixed_dictionaries(
        dict.fromkeys(("loss", "depth", "ffn_ratio", "batch_tokens", "learning_rate"), SCALES)
    ),
    shape=st.sampled_from(sorted(LOSSES)),
    noise=st.sampled_from([0.0, 1e-12, 0.001, 1.0]),
)
def test_any_table_gives_formulas_that_json_can_hold(scales: dict[str, float], shape: str, noise: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for formula in fit_all(table(scales, shape, noise), CONTEXT):
            json.dumps(formula.model_dump(mode="json"), allow_nan=False)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e-320, -1e-16, 1e31])
def test_numbers_beyond_every_measurement_are_not_fitted(value: float) -> None:
    assert not is_fittable(value)
    row = Observation(0, TrialState.COMPLETE, {"learning_rate": value}, {"bits_per_byte": value}, {})
    assert row.number_of("learning_rate") is None
    assert CONTEXT.cost(row) is None


def test_exponentials_stay_finite() -> None:
    assert bounded_exp(1.5) == math.exp(1.5)
    assert bounded_exp(1e9) == 1 / bounded_exp(-1e9) == pytest.approx(math.exp(LARGEST_LOG))
