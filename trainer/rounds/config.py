"""What a run is told about its rounds; no torch."""

from typing import Annotated, Literal

from pydantic import Field

from model.config import FrozenConfig

MAX_ROUNDS = 10
MAX_PARTS = 1000
RoundSelection = Literal["loss", "uniform", "top_loss", "fresh"]
"""How a later round chooses among the batches of the first one: without replacement with p ∝ exp(loss)
(arXiv 2402.02791, F6), with equal probabilities, or those of highest loss; ``fresh`` reads on in the corpus instead."""
RoundLosses = Literal["during", "end"]
"""Whether a batch's loss is that of its training step, or measured once the round has ended."""


class RoundsConfig(FrozenConfig):
    """Rounds of training in one schedule, whose lengths add up to the run's."""

    rounds: Annotated[int, Field(ge=1, le=MAX_ROUNDS)] = 1
    sampling_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Batches of each later round over those of the first one."""
    parts: Annotated[int, Field(ge=1, le=MAX_PARTS)] = 8
    """Parts of the first round, from each of which a later round takes the same share (8: arXiv 2402.02791, F6)."""
    selection: RoundSelection = "loss"
    losses: RoundLosses = "during"
