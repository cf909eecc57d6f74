"""What the first annealed losses of a trial say about its last one, given the finished trials of the study."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

Floats = NDArray[np.float64]

EXPONENTS = np.geomspace(0.05, 3.0, 24)
"""Grid of exponents (assumed: exponents of the loss in data published for whole runs lie between 0.1 and 0.5, see
arXiv 2203.15556; short runs fall faster at first)."""
ASSUMED_NOISE = 0.002
"""Noise of an annealed loss as a share of it, before a study shows its own (assumed: seeds of proxies of 1M parameters
deviated by 0.005 to 0.010 bits per byte at 2 to 3)."""
NOISE_FREEDOM = 2.0
"""Degrees of freedom that the assumed noise counts for (assumed)."""
ASSUMED_SPREAD = 0.5
"""Deviation of A between trials as a share of its mean, before a study shows its own (assumed)."""
SPREAD_TRIALS = 2.0
"""Trials that the assumed deviation counts for (assumed)."""
SMALLEST_VARIANCE = 1e-20
"""Of the noise, so that losses that are all 0 are no division by it (assumed: far below any measured loss's)."""
CURVE_PARAMETERS = 3
"""F, A and the exponent."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The last loss of a trial: a mixture of t distributions, one for each exponent of the grid."""

    weights_g: Floats
    means_g: Floats
    scales_g: Floats
    freedom: float
    """Degrees of freedom of the t distributions."""
    widening: float
    """How many times farther from the mean a loss may lie than the mixture says, at the same probability."""

    @property
    def mean(self) -> float:
        """The expected last loss."""
        return float(self.weights_g @ self.means_g)

    @property
    def deviation(self) -> float:
        """Standard deviation of the last loss, that of the t distributions taken for their scales."""
        return self.widening * float(np.sqrt(self.weights_g @ (self.scales_g**2 + (self.means_g - self.mean) ** 2)))

    def chance_below(self, value: float) -> float:
        """Probability that the last loss is below ``value``."""
        narrowed = self.mean + (value - self.mean) / self.widening
        return float(self.weights_g @ stdtr(self.freedom, (narrowed - self.means_g) / self.scales_g))


@dataclass(frozen=True, slots=True)
class _Population:
    """What is known of trials before they begin: a row for all, or one for each trial that leaves that trial out."""

    mean_ng: Floats
    """Mean of A at each exponent."""
    variance_ng: Floats
    weights_ng: Floats
    """Probability of each exponent."""


@dataclass(frozen=True, slots=True)
class _LineFits:
    """Least squares of n curves on their first k losses, at each exponent."""

    slopes_ng: Floats
    squares_g: Floats
    """Sum of squares of the regressor about its mean."""
    residuals_ng: Floats
    """Sum of squared residuals."""


class Extrapolation:
    """The annealed loss after a share t of the run is E + A · t^-α, and the last one is predicted from the first ones.

    An annealed loss is that of a run which ends there, and for one network the loss of whole runs is a power law with
    an offset in their data (arXiv 2203.15556, equation 2; arXiv 2302.00441 takes it for learning curves). Written from
    the end it is F + A · (t^-α - 1), F being the last loss. At each α of a grid that is a line, whose posterior is
    known in closed form: the prior of F is flat, that of A normal with the mean and the variance of the finished
    trials, that of α the average of their posteriors, and the noise is what their residuals show. Every finished trial
    is also predicted from its own beginning and from the others; where those predictions were off by more than they
    claim, all are widened by as much.

    Args:
        shares_k: the share of the run at each evaluation, ascending, the last one 1.
        losses_nk: annealed losses of the finished trials, at least two.
    """

    def __init__(self, shares_k: Floats, losses_nk: Floats) -> None:
        self._losses_nk = losses_nk
        self._regressors_gk = shares_k ** -EXPONENTS[:, None] - 1
        self._fits = self._fit(losses_nk)
        trials, evaluations = losses_nk.shape
        own_freedom = trials * max(evaluations - CURVE_PARAMETERS, 0)
        self._freedom = own_freedom + NOISE_FREEDOM
        assumed = NOISE_FREEDOM * (ASSUMED_NOISE * float(np.abs(losses_nk[:, -1]).mean())) ** 2
        shown = float(self._fits.residuals_ng.min(axis=1).sum()) if own_freedom else 0.0
        self._variance = max((shown + assumed) / self._freedom, SMALLEST_VARIANCE)
        self._weights_ng = _normalised(-0.5 * self._fits.residuals_ng / self._variance)
        self._widening = cache(self._measured_widening)

    def predict(self, losses_k: Floats) -> Prediction:
        """The last loss of a trial from its first losses, at least two and not the last one."""
        weights_ng, means_ng, scales_ng = self._posterior(losses_k[None], self._population(leave_out=False))
        widening = self._widening(len(losses_k))
        return Prediction(weights_ng[0], means_ng[0], scales_ng[0], self._freedom, widening)

    def _fit(self, losses_nk: Floats) -> _LineFits:
        regressors_gk = self._regressors_gk[:, : losses_nk.shape[1]]
        regressors_gk = regressors_gk - regressors_gk.mean(axis=1, keepdims=True)
        centred_nk = losses_nk - losses_nk.mean(axis=1, keepdims=True)
        squares_g = (regressors_gk**2).sum(axis=1)
        products_ng = centred_nk @ regressors_gk.T
        residuals_ng = (centred_nk**2).sum(axis=1)[:, None] - products_ng**2 / squares_g
        return _LineFits(products_ng / squares_g, squares_g, np.maximum(residuals_ng, 0))

    def _population(self, leave_out: bool) -> _Population:
        """The finished trials as a prior; with ``leave_out`` one prior for each of them, from the others."""
        slopes_ng = self._fits.slopes_ng
        count = len(slopes_ng) - leave_out

        def total(values_ng: Floats) -> Floats:
            summed: Floats = values_ng.sum(axis=0, keepdims=True)
            return summed - values_ng if leave_out else summed

        mean = total(slopes_ng) / count
        squares = np.maximum(total(slopes_ng**2) - count * mean**2, 0)
        assumed = SPREAD_TRIALS * (ASSUMED_SPREAD * mean) ** 2
        variance = (squares + assumed) / (count - 1 + SPREAD_TRIALS) * (1 + 1 / count)
        weights = total(self._weights_ng) + 1 / len(EXPONENTS)
        return _Population(mean, variance, weights / weights.sum(axis=1, keepdims=True))

    def _posterior(self, losses_nk: Floats, known: _Population) -> tuple[Floats, Floats, Floats]:
        """Weights, means and scales of the mixtures that predict the last losses."""
        evaluations = losses_nk.shape[1]
        fits, noise = self._fit(losses_nk), self._variance
        middle_g = self._regressors_gk[:, :evaluations].mean(axis=1)
        total = fits.squares_g * known.variance_ng + noise
        surprise = fits.residuals_ng / noise + fits.squares_g * (fits.slopes_ng - known.mean_ng) ** 2 / total
        weights = _normalised(-0.5 * (surprise + np.log(total / noise)) + np.log(known.weights_ng))
        slopes = (fits.slopes_ng * fits.squares_g * known.variance_ng + known.mean_ng * noise) / total
        slope_variance = known.variance_ng * noise / total
        means = losses_nk.mean(axis=1, keepdims=True) - slopes * middle_g
        return weights, means, np.sqrt(noise / evaluations + middle_g**2 * slope_variance + noise)

    def _measured_widening(self, evaluations: int) -> float:
        """Root mean square of the standardised errors at this evaluation, one error of 1 added; at least 1."""
        begun_nk, ends_n = self._losses_nk[:, :evaluations], self._losses_nk[:, -1]
        weights, means, scales = self._posterior(begun_nk, self._population(leave_out=True))
        mean_n = (weights * means).sum(axis=1)
        variance_n = (weights * (scales**2 + (means - mean_n[:, None]) ** 2)).sum(axis=1)
        squares = float(((ends_n - mean_n) ** 2 / variance_n).sum())
        return max(1.0, float(np.sqrt((squares + 1) / (len(ends_n) + 1))))


def _normalised(logs_ng: Floats) -> Floats:
    weights: Floats = np.exp(logs_ng - logs_ng.max(axis=1, keepdims=True))
    normalised: Floats = weights / weights.sum(axis=1, keepdims=True)
    return normalised
