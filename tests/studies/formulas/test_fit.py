import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.formulas.fitting.fit import Problem, determined, fit, held_out_errors, predict


def line(generator, groups=1, rows=8, slope=0.5, noise=0.1, jitter_scale=0.2, spread_scale=0.0):
    x = np.tile(np.linspace(-2, 2, rows), groups)
    index = np.repeat(np.arange(groups), rows)
    y = slope * x + index + noise * generator.standard_normal(len(x))
    return Problem(y, x[:, None], np.full(len(x), noise**2), index, jitter_scale, spread_scale)


def test_without_scales_the_fit_is_weighted_least_squares():
    generator = np.random.default_rng(0)
    problem = line(generator, jitter_scale=0.0)
    problem = Problem(problem.response, problem.columns, np.linspace(0.01, 0.1, 8), problem.groups, 0.0)
    design = np.column_stack([np.ones(8), problem.columns])
    weights = 1 / problem.variances
    covariance = np.linalg.inv(design.T @ (weights[:, None] * design))
    fitted = fit(problem)
    np.testing.assert_allclose(fitted.mean(), covariance @ design.T @ (weights * problem.response), atol=1e-10)
    np.testing.assert_allclose(fitted.covariance(), covariance, atol=1e-12)


def test_random_slopes_match_the_dense_covariance():
    """Woodbury's identity against generalised least squares with the full matrix."""
    problem = line(np.random.default_rng(1), groups=3, rows=5, jitter_scale=0.0, spread_scale=0.3)
    fitted = fit(problem)
    steps = (np.arange(16) + 0.5) / 16
    spread = 3.5 * 0.3 * steps[7] ** 2
    blocks = np.equal.outer(problem.groups, problem.groups)
    dense = np.diag(problem.variances) + spread**2 * blocks * np.outer(problem.columns, problem.columns)
    design = np.column_stack([np.eye(3)[problem.groups], problem.columns])
    inverse = np.linalg.inv(dense)
    covariance = np.linalg.inv(design.T @ inverse @ design)
    slope = (covariance @ design.T @ inverse @ problem.response)[-1]
    assert fitted.means[7, 1] == pytest.approx(slope, abs=1e-9)
    assert fitted.covariances[7, 1, 1] == pytest.approx(covariance[-1, -1], rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-3, 3), st.floats(-5, 5))
def test_slopes_are_equivariant(seed, slope, shift):
    problem = line(np.random.default_rng(seed), groups=2)
    moved = problem.with_response(problem.response + slope * problem.columns[:, 0] + shift)
    np.testing.assert_allclose(
        fit(moved).mean(), [fit(problem).mean()[0] + shift, fit(problem).mean()[1] + slope], atol=1e-7
    )


def test_interval_widens_with_the_spread_between_groups():
    generator = np.random.default_rng(3)
    plain = line(generator, groups=4, spread_scale=0.3)
    spread = plain.with_response(plain.response + np.array([-0.4, -0.1, 0.2, 0.3])[plain.groups] * plain.columns[:, 0])
    contrast = np.array([0.0, 1.0])
    narrow, wide = fit(plain).interval(contrast, 0.95), fit(spread).interval(contrast, 0.95)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_quantiles_of_one_normal():
    problem = line(np.random.default_rng(4), jitter_scale=0.0)
    fitted = fit(problem)
    interval = fitted.interval(np.array([0.0, 1.0]), 0.95)
    assert interval.high - interval.low == pytest.approx(2 * 1.959964 * fitted.covariance()[1, 1] ** 0.5, rel=1e-5)


def test_held_out_errors_are_those_of_refitting():
    problem = line(np.random.default_rng(5), jitter_scale=0.0)
    errors = held_out_errors(problem, 0.0)
    kept = np.arange(8) != 2
    refitted = fit(problem.only(kept))
    assert errors[2] == pytest.approx(problem.response[2] - refitted.mean() @ [1, problem.columns[2, 0]], abs=1e-9)


def test_held_out_groups_keep_only_their_own_mean():
    problem = line(np.random.default_rng(6), groups=3, jitter_scale=0.0)
    errors = held_out_errors(problem, 0.0)
    rest = fit(problem.only(problem.groups != 1))
    own = problem.groups == 1
    centred = problem.response[own] - problem.response[own].mean()
    np.testing.assert_allclose(errors[own], centred - rest.mean()[1] * problem.columns[own, 0], atol=1e-9)


def test_predictions_hold_group_intercepts():
    problem = line(np.random.default_rng(7), groups=3, noise=1e-6)
    np.testing.assert_allclose(predict(fit(problem), problem), problem.response, atol=1e-4)


def test_a_prior_on_one_slope_is_bayes_rule():
    problem = line(np.random.default_rng(8), jitter_scale=0.0)
    fitted = fit(problem)
    shrunk = fitted.shrunk(1, 0.05)
    precision = np.linalg.inv(fitted.covariance()) + np.diag([0, 1 / 0.05**2])
    np.testing.assert_allclose(shrunk.covariance(), np.linalg.inv(precision), rtol=1e-8)


def test_collinear_columns_are_not_determined():
    x = np.arange(6.0)
    groups = np.zeros(6, dtype=np.intp)
    assert determined(np.column_stack([x, x**2]), groups)
    assert not determined(np.column_stack([x, 2 * x]), groups)
    assert not determined(np.column_stack([x, np.ones(6)]), groups)
