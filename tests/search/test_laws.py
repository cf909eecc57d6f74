"""Laws of the best learning rate and batch."""

import pytest

from search.constraints import Constraints, TotalParameters
from search.laws import BYTES_PER_TOKEN, DEEPSEEK, PUBLISHED_LAWS, STEP_LAW, Law, Power, expected_optimum
from search.parameters import FloatParameter, IntParameter
from search.space import Space
from trainer.config import ProxySettings


def test_step_law_says_what_the_paper_says():
    """arXiv 2503.04715: lr* = 1.79 N^-0.713 D^0.307 and B* = 0.58 D^0.571."""
    assert STEP_LAW.best_batch(1e9, 1e11) == pytest.approx(0.58 * 1e11**0.571)
    assert STEP_LAW.best_rate(1e9, 1e11, 2**20) == pytest.approx(1.79 * 1e9**-0.713 * 1e11**0.307)


def test_deepseek_is_a_law_of_compute():
    """arXiv 2401.02954, equation 1, at C = 6 N D."""
    compute = 6 * 1e9 * 1e11
    assert DEEPSEEK.best_rate(1e9, 1e11, 2**20) == pytest.approx(0.3118 * compute**-0.125)
    assert DEEPSEEK.best_batch(1e9, 1e11) == pytest.approx(0.2920 * compute**0.3271)


def test_the_rate_moves_with_a_batch_that_is_not_the_best():
    law = Law("mine", "a test", "total_parameters", Power(0.01), Power(4096.0), batch_exponent=0.5)
    assert law.best_rate(1.0, 1.0, 4 * 4096) == pytest.approx(0.02)
    elsewhere = Law("mine", "a test", "total_parameters", Power(0.01), batch_exponent=0.5, reference_batch=1024)
    assert elsewhere.best_batch(1.0, 1.0) is None
    assert elsewhere.best_rate(1.0, 1.0, 256) == pytest.approx(0.005)


def test_published_laws_are_known_by_name():
    assert all(PUBLISHED_LAWS[law.name] is law and "arXiv" in law.source for law in (STEP_LAW, DEEPSEEK))


LENGTHS = {
    "train_tokens": (1_000_000, 1_000_000),
    "train_bytes": (3_000_000, 3_000_000 / BYTES_PER_TOKEN),
    "train_flops": (6e12, 1e12),
}


@pytest.mark.parametrize("length", LENGTHS)
def test_the_law_is_asked_at_the_points_own_network(length):
    """N without the table of a tied head; D exact in tokens, about right in bytes and FLOPs."""
    given, expected = LENGTHS[length]
    settings = ProxySettings(**{length: given}, vocabulary_size=1024, width=128, batch_tokens=2048)
    space = Space.build({"depth": IntParameter(type="int", low=2, high=8)}, {}, Constraints(), settings)
    law = Law("mine", "a test", "non_embedding_parameters", Power(1e3, size=-1.0), Power(1.0, tokens=1.0))
    for depth in (2, 8):
        point = space.point(space.unit({"depth": depth}))
        size = point.attributes["total_parameters"] - 1024 * 128
        found = expected_optimum(law, settings, point.values, point.attributes)
        tokens = expected / size if length == "train_flops" else expected
        assert found == pytest.approx({"learning_rate": 1e3 / size, "batch_tokens": tokens})


def test_a_law_of_total_parameters_counts_the_tables():
    settings = ProxySettings(train_tokens=1000)
    rate = FloatParameter(type="float", low=1e-4, high=1e-1, log=True)
    space = Space.build(
        {"learning_rate": rate}, {}, Constraints(total_parameters=TotalParameters(target=1_000_000)), settings
    )
    point = space.point({"learning_rate": 0.5})
    law = Law("mine", "a test", "total_parameters", Power(1.0, size=-0.5))
    found = expected_optimum(law, settings, point.values, point.attributes)
    assert found == pytest.approx({"learning_rate": point.attributes["total_parameters"] ** -0.5})
