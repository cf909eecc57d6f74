"""Laws of the best learning rate and batch as plain data: where a search starts, before it has trained anything."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from search.events import Value
from trainer.config import ProxySettings

SizeConvention = Literal["total_parameters", "non_embedding_parameters"]
BYTES_PER_TOKEN = 3.0
"""Of a length in bytes (assumed: vocabularies of proxies have 2 to 4, between which a law's rate moves by a tenth)."""
FLOPS_PER_PARAMETER = 6.0
"""Training FLOPs of a token for each parameter (arXiv 2001.08361, section 2.1)."""


@dataclass(frozen=True, slots=True)
class Power:
    """coefficient · N^size · D^tokens, of a parameter count N and of training tokens D."""

    coefficient: float
    size: float = 0.0
    tokens: float = 0.0

    def at(self, size: float, tokens: float) -> float:
        """The value at N = ``size`` and D = ``tokens``."""
        return self.coefficient * math.exp(self.size * math.log(size) + self.tokens * math.log(tokens))


@dataclass(frozen=True, slots=True)
class Law:
    """lr* = rate(N, D) · (B / B0)^batch_exponent and B* = batch(N, D): a peak rate, and a batch in tokens.

    Above B0 the exponent may be another one.
    """

    name: str
    source: str
    """Where the constants come from."""
    size_convention: SizeConvention
    """What N counts."""
    rate: Power
    """The best rate at the batch B0."""
    batch: Power | None = None
    """The best batch; None where the law does not say."""
    batch_exponent: float = 0.0
    """How the best rate moves with the batch."""
    exponent_above: float | None = None
    """The same above B0; ``batch_exponent`` when left out."""
    reference_batch: float | None = None
    """B0; the best batch when left out."""

    def best_batch(self, size: float, tokens: float) -> float | None:
        """The best batch in tokens."""
        return None if self.batch is None else self.batch.at(size, tokens)

    def best_rate(self, size: float, tokens: float, batch_tokens: float) -> float:
        """The best peak rate at a batch."""
        rate = self.rate.at(size, tokens)
        reference = self.reference_batch or self.best_batch(size, tokens)
        if reference is None:
            return rate
        above = self.batch_exponent if self.exponent_above is None else self.exponent_above
        return rate * math.pow(batch_tokens / reference, above if batch_tokens > reference else self.batch_exponent)


STEP_LAW = Law(
    name="step_law",
    source="arXiv 2503.04715, abstract and equation 1: lr* = 1.79 N^-0.713 D^0.307, B* = 0.58 D^0.571",
    size_convention="non_embedding_parameters",
    rate=Power(1.79, size=-0.713, tokens=0.307),
    batch=Power(0.58, tokens=0.571),
)

DEEPSEEK = Law(
    name="deepseek",
    source="arXiv 2401.02954, equation 1: lr* = 0.3118 C^-0.125, B* = 0.2920 C^0.3271, with C = 6 N D",
    size_convention="non_embedding_parameters",
    rate=Power(0.3118 * FLOPS_PER_PARAMETER**-0.125, size=-0.125, tokens=-0.125),
    batch=Power(0.2920 * FLOPS_PER_PARAMETER**0.3271, size=0.3271, tokens=0.3271),
)
"""The paper counts C from non-embedding FLOPs a token, attention included; 6 N leaves attention out, which at short
sequences moves C by some percent and lr* by less than one."""

PUBLISHED_LAWS: Mapping[str, Law] = {law.name: law for law in (STEP_LAW, DEEPSEEK)}
"""Laws that a spec can name."""


def expected_optimum(
    law: Law, settings: ProxySettings, values: Mapping[str, Value], attributes: Mapping[str, Value]
) -> dict[str, float]:
    """The learning rate and the batch that ``law`` expects of one point's network, by their standard names.

    The rate is the best one at the point's own batch. Without a batch law, the batch is left out.

    Args:
        law: the law.
        settings: what every trial shares; values that the point leaves out come from here.
        values: the point's parameters, a solved width among them.
        attributes: the point's attributes; ``total_parameters`` is read.
    """
    chosen = {**settings.model_dump(include={"width", "vocabulary_size", "tied_head", "batch_tokens"}), **values}
    total = int(attributes["total_parameters"])
    tables = int(chosen["width"]) * int(chosen["vocabulary_size"]) * (1 if chosen["tied_head"] else 2)
    size = total if law.size_convention == "total_parameters" else max(total - tables, 1)
    tokens = training_tokens(settings, size)
    optimum = {"learning_rate": law.best_rate(size, tokens, float(chosen["batch_tokens"]))}
    batch = law.best_batch(size, tokens)
    return optimum if batch is None else {**optimum, "batch_tokens": batch}


def training_tokens(settings: ProxySettings, size: float) -> float:
    """Training tokens D, about: exact where the length is given in tokens."""
    if settings.train_tokens is not None:
        return float(settings.train_tokens)
    if settings.train_bytes is not None:
        return max(settings.train_bytes / BYTES_PER_TOKEN, 1.0)
    return max((settings.train_flops or 1.0) / (FLOPS_PER_PARAMETER * size), 1.0)
