"""What is believed of the objective once some values are known, in closed form, and where it may improve most."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.linalg import cholesky
from scipy.special import ndtr

from search.samplers.bowl.coordinates import Floats
from search.samplers.bowl.prior import Prior, Rows

KEPT_WEIGHT = 0.05
"""Hypotheses with less than this share of the likeliest one's weight are left out (assumed: to save time)."""

BLOCK = 16
"""Columns that are multiplied at once. OpenBLAS leaves products of less than 2^18 multiplications in one thread; waking
others takes longer than the product, and much longer where trials keep the cores busy (measured: 2 ms became 20)."""


class Posterior:
    """The belief under one hypothesis (Rasmussen and Williams 2006, algorithm 2.1).

    A point that still runs counts as if it had the value that is expected of it (the kriging believer of Ginsbourger,
    Le Riche and Carraro 2010, section 3.2): it moves no mean and lowers the variance around it, which keeps parallel
    trials apart.

    Args:
        prior: the belief before.
        rows: first the points that have a value, then those that run.
        values: of the first of them, standardised.
    """

    def __init__(self, prior: Prior, rows: Rows, values: Floats) -> None:
        self._prior, self._rows, self._told = prior, rows, len(values)
        noise = prior.noise(rows)
        factor = cholesky(prior.covariance(rows, rows) + np.diag(noise), lower=True, check_finite=False)
        self._inverse = _inverse(factor)
        told = self._inverse[: self._told, : self._told]
        self._whitened = told @ (values - prior.mean(rows[: self._told]))
        determinant = np.log(np.diag(factor)[: self._told]).sum()
        self.log_likelihood = float(-self._whitened @ self._whitened / 2 - determinant)
        expected = values - noise[: self._told] * (told.T @ self._whitened)
        own = expected[rows.study[: self._told] == 0]
        self._best = float(own.min() if len(own) else expected.min(initial=0.0))

    def expected_improvement(self, candidates: Rows) -> Floats:
        """Expected improvement (Jones, Schonlau and Welch 1998, equation 15), shape (n,).

        What is to be beaten is the lowest expected value of a told point, not the lowest value: that may be luck.
        """
        solved = _product(self._inverse, self._prior.covariance(self._rows, candidates))
        mean = self._prior.mean(candidates) + self._whitened @ solved[: self._told]
        deviation = np.sqrt(np.maximum(self._prior.variance(candidates) - (solved**2).sum(0), 1e-12))
        z = (self._best - mean) / deviation
        improvement: Floats = deviation * (z * ndtr(z) + np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))
        return improvement


def _product(matrix: Floats, columns: Floats) -> Floats:
    """The matrix times many columns, a few at a time, in one thread."""
    blocks = range(0, columns.shape[1], BLOCK)
    return np.concatenate([matrix @ columns[:, start : start + BLOCK] for start in blocks], axis=1)


def _inverse(lower: Floats) -> Floats:
    """Of a lower triangular matrix, by halves, in one thread."""
    size = len(lower)
    if size <= 4 * BLOCK:
        return np.asarray(np.linalg.inv(lower), dtype=np.float64)
    half = size // 2
    first, second = _inverse(lower[:half, :half]), _inverse(lower[half:, half:])
    inverse = np.zeros_like(lower)
    inverse[:half, :half], inverse[half:, half:] = first, second
    inverse[half:, :half] = -_product(second, _product(lower[half:, :half], first))
    return inverse


class Belief:
    """All hypotheses together, weighted by their marginal likelihood (the same book, section 5.2)."""

    def __init__(self, priors: Sequence[Prior], rows: Rows, values: Floats) -> None:
        posteriors = [Posterior(prior, rows, values) for prior in priors]
        likeliest = max(posterior.log_likelihood for posterior in posteriors)
        weighted = [(math.exp(each.log_likelihood - likeliest), each) for each in posteriors]
        kept = [(weight, each) for weight, each in weighted if weight >= KEPT_WEIGHT]
        total = sum(weight for weight, _ in kept)
        self._posteriors = [(weight / total, each) for weight, each in kept]

    def expected_improvement(self, candidates: Rows) -> Floats:
        """The weighted mean over the hypotheses, shape (n,)."""
        improvements = [weight * each.expected_improvement(candidates) for weight, each in self._posteriors]
        return np.asarray(np.sum(improvements, axis=0))
