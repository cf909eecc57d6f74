"""What is believed of the objective before any value is known.

A Gaussian process whose mean is a paraboloid around the expected optimum, and whose covariance is that of a random
quadratic (a basis with Gaussian coefficients: Rasmussen and Williams 2006, section 2.7, with the kernel of section
4.2.2) and of a smooth rest that no quadratic explains. Values are standardised, and smaller is better.

The constants were chosen on the problems of docs/benchmarks.md ("Which sampler"), except where they say otherwise.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.samplers.bowl.coordinates import Floats

STEEPNESS = 8.0
"""Expected rise of the bowl in two dimensions, in standard deviations of the values for a whole axis squared."""
QUADRATIC_VARIANCE = 1.0
"""Prior variance of the random quadratic: how far slope, curvature and place of the bowl may differ."""
REST_VARIANCE = 0.3
"""Prior variance of the rest."""
LENGTHS = (0.3, 0.6)
"""Hypotheses: length scales of the rest, in lengths of an axis and for two dimensions."""
NOISES = (1e-3, 3e-2)
"""Hypotheses: variance of a value from seed to seed."""
EARLIER_NOISE = 0.05
"""Further variance of a value of an earlier study, whose bowl is much like this one's (assumed)."""
OFFSET_VARIANCE = 1.0
"""Prior variance of an earlier study's offset (assumed)."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Points as the model sees them: ``n`` points, ``c`` columns, ``e`` places where the optimum may be expected."""

    place: Floats
    """Shape (n, c)."""
    expected: Floats
    """Shape (n, e, c)."""
    study: NDArray[np.int64]
    """Which study each point belongs to, shape (n,); 0 is this one."""

    def __len__(self) -> int:
        return len(self.place)

    def __getitem__(self, index: slice | NDArray[np.int64]) -> "Rows":
        return Rows(self.place[index], self.expected[index], self.study[index])

    @classmethod
    def joined(cls, parts: "Sequence[Rows]") -> "Rows":
        """All rows of some parts, in order; there is at least one part."""
        return cls(
            np.concatenate([part.place for part in parts]),
            np.concatenate([part.expected for part in parts]),
            np.concatenate([part.study for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class Prior:
    """The belief under one hypothesis about what has no closed form."""

    ordered: NDArray[np.bool_]
    """Which columns are those of numbers; the others know no bowl."""
    expectation: int
    """Which of the places the optimum is expected at."""
    length: float
    noise_variance: float

    def mean(self, rows: Rows) -> Floats:
        """Shape (n,)."""
        away = self._away(rows)[:, self.ordered]
        rise: Floats = STEEPNESS * math.sqrt(2 / self._dimensions) * (away**2).sum(1)
        return rise

    def covariance(self, first: Rows, second: Rows) -> Floats:
        """Shape (n of first, n of second)."""
        quadratic = self._quadratic(_products(self._away(first), self._away(second)))
        squares = (first.place**2).sum(1)[:, None] + (second.place**2).sum(1)[None]
        distances = np.maximum(squares - 2 * _products(first.place, second.place), 0.0)
        rest = REST_VARIANCE * np.exp(distances * (-1 / (self.length**2 * self._dimensions)))
        offset = (first.study[:, None] == second.study[None]) & (first.study[:, None] > 0)
        total: Floats = quadratic + rest + OFFSET_VARIANCE * offset
        return total

    def variance(self, rows: Rows) -> Floats:
        """The diagonal of ``covariance(rows, rows)``, shape (n,)."""
        quadratic = self._quadratic(np.asarray((self._away(rows) ** 2).sum(1)))
        total: Floats = quadratic + REST_VARIANCE + OFFSET_VARIANCE * (rows.study > 0)
        return total

    def noise(self, rows: Rows) -> Floats:
        """Variance of the values around what is modelled, shape (n,)."""
        noise: Floats = np.asarray(self.noise_variance + EARLIER_NOISE * (rows.study > 0))
        return noise

    @property
    def _dimensions(self) -> int:
        return max(int(self.ordered.sum()), 1)

    def _away(self, rows: Rows) -> Floats:
        away: Floats = rows.place - rows.expected[:, self.expectation]
        return away

    def _quadratic(self, product: Floats) -> Floats:
        """Covariance of quadratics in distances from the expected optimum, whose half axes count as one."""
        scaled = product * (8 / self._dimensions)
        covariance: Floats = QUADRATIC_VARIANCE * (1 + scaled + scaled**2 / 2)
        return covariance


def _products(first: Floats, second: Floats) -> Floats:
    """Scalar products of rows, shape (n of first, n of second), in one thread: waking others takes longer than this."""
    products: Floats = np.einsum("ic,jc->ij", first, second)
    return products


def priors(ordered: NDArray[np.bool_], expectations: int) -> list[Prior]:
    """All hypotheses, equally likely beforehand."""
    return [Prior(ordered, *each) for each in itertools.product(range(expectations), LENGTHS, NOISES)]
