"""The saturating law, lr* = lr_max / (1 + B_noise / B)^alpha, where the data identify it.

Below the noise scale B_noise the best rate grows as B^alpha, above it no more (McCandlish et al. 2018, arXiv
1812.06162, equation 2.10 has alpha = 1 for SGD; alpha is fitted). Far below and far above the tried batches B_noise
makes the law a constant or a power: it is reported only where the likelihood falls towards both.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.formulas.evaluation import bounded_exp
from studies.formulas.fitting.fit import Problem, covariance_evidence, root_mean_square
from studies.formulas.fitting.mixed import MixedProblem
from studies.formulas.formula import Coefficient, latex_number
from studies.formulas.learning_rate_batch.joint_parts import exponential, parameter
from studies.formulas.learning_rate_batch.knots import (
    KnotFit,
    KnotProblem,
    fit_knot,
    has_room,
    is_identified,
    predict_without,
)
from studies.formulas.verdicts import LEVEL

Floats = NDArray[np.float64]
EXPRESSION = "lr_max / (1 + noise_batch_tokens / batch_tokens) ** alpha"
OWN_INTERCEPT = 100.0
"""Variance of ln lr* between grids that leaves each its own intercept (assumed: 10 in log is no restriction)."""


@dataclass(frozen=True, slots=True)
class Saturating:
    """The law fitted to ln lr* over x = ln(B / reference). Parameters: ln lr_max, alpha, covariates, the knot."""

    problem: KnotProblem
    found: KnotFit
    held_out_error: float
    """Root mean square, of grids left out less their own mean; of rows where there is one grid."""

    def coefficients(self, reference: float) -> dict[str, Coefficient]:
        """lr_max, B_noise and alpha."""
        fitted = self.found.fit
        last = fitted.means.shape[1] - 1
        return {
            "lr_max": exponential(fitted, 0, "learning rate"),
            "noise_batch_tokens": exponential(fitted, last, "tokens", reference),
            "alpha": parameter(fitted, 1),
        }

    def covariance(self) -> dict[str, Any]:
        """That of the three, as a formula's evidence has it."""
        fitted = self.found.fit
        chosen = [0, 1, fitted.means.shape[1] - 1]
        three = replace(fitted, means=fitted.means[:, chosen], covariances=fitted.covariances[:, chosen][:, :, chosen])
        names = ("lr_max", "alpha", "noise_batch_tokens")
        return covariance_evidence(three, names, LEVEL, logs=("lr_max", "noise_batch_tokens"), logarithmic=True)

    def residuals(self) -> Floats:
        """Of each cell, less its grid's own mean."""
        linear = self.problem.at(self.found.knot)
        means = self.found.fit.mean()[:-1]
        return _centred(linear.response - means[0] - linear.columns @ means[1:], linear)

    def statement(self, reference: float) -> str:
        """In words."""
        top, alpha, noise = self._values(reference)
        return f"lr* = {top:.3g}/(1 + {noise:.3g}/B)^{alpha:.2f}"

    def latex(self, reference: float) -> str:
        """As LaTeX."""
        top, alpha, noise = self._values(reference)
        inside = rf"1 + \frac{{{latex_number(noise)}}}{{B}}"
        return rf"\eta^{{*}} = {latex_number(top)}\left({inside}\right)^{{{-alpha:.2f}}}"

    def _values(self, reference: float) -> tuple[float, float, float]:
        mean = self.found.fit.mean()
        return bounded_exp(float(mean[0])), float(mean[1]), reference * bounded_exp(float(mean[-1]))


def fit_saturating(problem: Problem, covariates: Floats, shift_error: float) -> Saturating | None:
    """Fit the law; None where it is not identified.

    Args:
        problem: ln lr* over x, the first column.
        covariates: columns beside the batch, shape (n, k).
        shift_error: error that all ln lr* share.
    """
    count = int(problem.groups.max()) + 1
    own = OWN_INTERCEPT if count > 1 else 0.0
    x = problem.columns[:, 0]
    mixed = MixedProblem(
        problem.response,
        covariates,
        problem.variances,
        problem.groups,
        x,
        np.full(count, own),
        problem.jitter_scale,
        0.0,
        problem.spread_scale,
    )
    law = KnotProblem(mixed, x, "saturating")
    if not has_room(x):
        return None
    found = fit_knot(law)
    if not is_identified(law, found):
        return None
    fitted = found.fit
    covariances = fitted.covariances.copy()
    covariances[:, 0, 0] += shift_error**2 - own / count
    found = replace(found, fit=replace(fitted, covariances=covariances))
    return Saturating(law, found, root_mean_square(_held_out_errors(law, found)))


def _held_out_errors(law: KnotProblem, found: KnotFit) -> Floats:
    mixed = law.mixed
    several = mixed.groups.max() > 0
    errors = np.empty_like(mixed.response)
    for index in range(int(mixed.groups.max()) + 1 if several else len(mixed.response)):
        held = mixed.groups == index if several else np.arange(len(mixed.response)) == index
        errors[held] = mixed.response[held] - predict_without(law, held, found)
    return _centred(errors, mixed) if several else errors


def _centred(values: Floats, mixed: MixedProblem) -> Floats:
    """Values less the mean of their grid."""
    counts = np.bincount(mixed.groups)
    centred: Floats = values - (np.bincount(mixed.groups, values) / counts)[mixed.groups]
    return centred
