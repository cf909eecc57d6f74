"""The form of a scaling law and its rivals, as functions of centred logs of N and D with their derivatives.

Many parameter vectors are evaluated at once, because starts of a fit are tried together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LARGEST_EXPONENT = 3.0
"""Largest exponent of size or length (assumed: published ones are below 1)."""
SMALLEST_EXPONENT = 0.01
"""Smallest exponent (assumed: a term that loses 1 % by doubling seven times is constant in any study)."""
LARGEST_LOG = 80.0
"""Logs of terms lie within ± this of the log loss (assumed: e^80 is beyond any loss)."""
NO_TERM = -500.0
"""Log of a term that is not there (derived: e^-500 is nothing beside any loss that is fitted, 1e-15 at least)."""
START_EXPONENTS = np.geomspace(0.05, 1.5, 10)
"""Exponents of size and of length that are tried as starts, each with each (assumed: they are starts)."""
SMALLEST_SHARE = 1e-3
"""Of the mean loss that a term has at a start (assumed)."""


@dataclass(frozen=True, slots=True)
class Data:
    """What a form is fitted to: logs about their means, shape (n,), and where the means are."""

    size: Floats
    length: Floats
    loss: Floats
    """Log of the loss."""
    size_centre: float
    length_centre: float

    @classmethod
    def of(cls, size: Floats, length: Floats, loss: Floats) -> "Data":
        """From parameters, tokens (or bytes) and losses."""
        x, y = np.log(size), np.log(length)
        return cls(x - x.mean(), y - y.mean(), np.log(loss), float(x.mean()), float(y.mean()))

    def only(self, kept: NDArray[np.bool_]) -> "Data":
        """Some of the rows, about the same centres."""
        size, length, loss = self.size[kept], self.length[kept], self.loss[kept]
        return Data(size, length, loss, self.size_centre, self.length_centre)


_ALL = np.eye(5)


class Form(Protocol):
    """A law of the log loss with p parameters."""

    def predict(self, parameters: Floats, data: Data) -> tuple[Floats, Floats]:
        """Log loss and its derivatives: (m, p) parameters to shapes (m, n) and (m, n, p)."""

    def starts(self, data: Data) -> Floats:
        """Parameters to start from, shape (m, p)."""

    def bounds(self, data: Data) -> tuple[Floats, Floats]:
        """Lowest and highest parameters, shape (p,) each."""


@dataclass(frozen=True, slots=True)
class Additive:
    """L = E + A / N^alpha + B / D^beta (Hoffmann et al. 2022, arXiv 2203.15556, equation 2), or a restriction of it.

    The full parameters are (log E, log A', alpha, log B', beta), where A' and B' are the terms at the centres; as
    there (equation 3) the loss is the exponential of a log-sum-exp. The form's own parameters p give them as
    ``offset + basis @ p``.
    """

    basis: Floats
    """Shape (5, p)."""
    offset: Floats
    """Shape (5,)."""

    def predict(self, parameters: Floats, data: Data) -> tuple[Floats, Floats]:
        """Log loss and its derivatives."""
        full = parameters @ self.basis.T + self.offset
        level, size, alpha, length, beta = (full[:, [index]] for index in range(5))
        first, second = size - alpha * data.size, length - beta * data.length
        largest = np.maximum(np.maximum(first, second), level)
        terms = [np.exp(log - largest) for log in (level, first, second)]
        total = terms[0] + terms[1] + terms[2]
        floor, of_size, of_length = (term / total for term in terms)
        slopes = np.empty((*total.shape, 5))
        slopes[..., 0], slopes[..., 1], slopes[..., 3] = floor, of_size, of_length
        slopes[..., 2], slopes[..., 4] = -data.size * of_size, -data.length * of_length
        return largest + np.log(total), slopes if self.basis is _ALL else slopes @ self.basis

    def starts(self, data: Data) -> Floats:
        """Each pair of exponents with the E, A and B of least squares of L / loss - 1, none of them negative."""
        alpha, beta = (grid.ravel() for grid in np.meshgrid(START_EXPONENTS, START_EXPONENTS, indexing="ij"))
        loss = np.exp(data.loss)
        decays = [np.ones((len(alpha), len(loss))), np.exp(-alpha[:, None] * data.size)]
        decays.append(np.exp(-beta[:, None] * data.length))
        columns = np.stack(decays, axis=-1) / loss[:, None]
        norms = np.sqrt((columns**2).sum(axis=1, keepdims=True))
        scaled = columns / norms
        products = scaled.transpose(0, 2, 1) @ scaled + 1e-9 * np.eye(3)
        amplitudes = np.linalg.solve(products, scaled.sum(axis=1)[..., None])[..., 0] / norms[:, 0]
        logs = np.log(np.maximum(amplitudes, SMALLEST_SHARE * loss.mean()))
        full = np.stack([logs[:, 0], logs[:, 1], alpha, logs[:, 2], beta], axis=-1)
        return np.asarray((full - self.offset) @ np.linalg.pinv(self.basis).T, dtype=np.float64)

    def bounds(self, data: Data) -> tuple[Floats, Floats]:
        """Logs near that of the loss, and exponents above 0."""
        centre = float(data.loss.mean())
        log, exponent = (centre - LARGEST_LOG, centre + LARGEST_LOG), (SMALLEST_EXPONENT, LARGEST_EXPONENT)
        full = np.array([log, log, exponent, log, exponent])
        own = [full[int(np.argmax(column != 0))] for column in self.basis.T]
        return np.array([low for low, _ in own]), np.array([high for _, high in own])


@dataclass(frozen=True, slots=True)
class Product:
    """L = (A / N^p + B / D)^q, without a floor (Kaplan et al. 2020, arXiv 2001.08361, equation 1.5).

    Parameters: log A and log B at the centres, p and q.
    """

    def predict(self, parameters: Floats, data: Data) -> tuple[Floats, Floats]:
        """Log loss and its derivatives."""
        size, length, ratio, power = (parameters[:, [index]] for index in range(4))
        first, second = size - ratio * data.size, length - data.length
        both = np.logaddexp(first, second)
        share = np.exp(first - both)
        slopes = [power * share, power * (1 - share), -power * share * data.size, both]
        return power * both, np.stack(slopes, axis=-1)

    def starts(self, data: Data) -> Floats:
        """Equal terms that give the mean loss together."""
        ratio, power = (grid.ravel() for grid in np.meshgrid([0.5, 1.0, 2.0], [0.05, 0.1, 0.2, 0.4]))
        level = float(data.loss.mean()) / power - np.log(2)
        return np.stack([level, level, ratio, power], axis=-1)

    def bounds(self, data: Data) -> tuple[Floats, Floats]:
        """Logs as far as the smallest power takes them."""
        far = (abs(float(data.loss.mean())) + LARGEST_LOG) / SMALLEST_EXPONENT
        return (
            np.array([-far, -far, SMALLEST_EXPONENT, SMALLEST_EXPONENT]),
            np.array([far, far, LARGEST_EXPONENT, LARGEST_EXPONENT]),
        )


CHINCHILLA = Additive(_ALL, np.zeros(5))
RIVALS: Mapping[str, Form] = {
    "no_floor": Additive(_ALL[:, 1:], np.array([NO_TERM, 0.0, 0.0, 0.0, 0.0])),
    "one_exponent": Additive(np.column_stack([*_ALL[:, [0, 1]].T, _ALL[:, 2] + _ALL[:, 4], _ALL[:, 3]]), np.zeros(5)),
    "product": Product(),
}
"""``no_floor``: E = 0; ``one_exponent``: alpha = beta; ``product``: Kaplan's."""
