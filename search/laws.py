"""Laws of the best learning rate and batch as plain data: where a search starts, before it has trained anything."""

import math
from dataclasses import dataclass
from typing import Literal

SizeConvention = Literal["total_parameters", "non_embedding_parameters"]


@dataclass(frozen=True, slots=True)
class Power:
    """coefficient · N^size · D^tokens, of a parameter count N and of training tokens D."""

    coefficient: float
    size: float = 0.0
    tokens: float = 0.0

    def at(self, size: float, tokens: float) -> float:
        """The value at N = ``size`` and D = ``tokens``."""
        return math.exp(math.log(self.coefficient) + self.size * math.log(size) + self.tokens * math.log(tokens))


@dataclass(frozen=True, slots=True)
class Law:
    """lr* = rate(N, D) · (B / B*)^exponent, B* = batch(N, D).

    ``rate`` is the best peak rate at the best batch, ``batch`` the best batch in tokens, None where the law has none.
    """

    name: str
    source: str
    """Where the constants come from."""
    size_convention: SizeConvention
    """What N counts."""
    rate: Power
    batch: Power | None = None
    batch_exponent: float = 0.0
    """How lr* moves with a batch that is not the best one; 0 without a ``batch``."""

    def best_batch(self, size: float, tokens: float) -> float | None:
        """B* in tokens."""
        return None if self.batch is None else self.batch.at(size, tokens)

    def best_rate(self, size: float, tokens: float, batch_tokens: float | None = None) -> float:
        """The best peak rate, at ``batch_tokens`` or at the best batch."""
        rate = self.rate.at(size, tokens)
        best_batch = self.best_batch(size, tokens)
        if batch_tokens is None or best_batch is None:
            return rate
        return rate * math.pow(batch_tokens / best_batch, self.batch_exponent)
