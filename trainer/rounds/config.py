"""What a run is told about its rounds; no torch."""

from typing import Annotated, Literal

from pydantic import Field

from model.config import FrozenConfig

MAX_ROUNDS = 10
MAX_PARTS = 1000
PART_LOSS = "part_loss_"
"""Intermediate values of trials that measure forgetting begin with it; the part's number, from 1, follows."""
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
    """Read by the selections ``loss`` and ``top_loss`` only."""
    forgetting: bool | None = None
    """Whether evaluations measure the loss on earlier parts, too; when left out, a run of several rounds does."""

    @property
    def uses_losses(self) -> bool:
        """Whether a later round is chosen by the losses of batches."""
        return self.rounds > 1 and self.selection in ("loss", "top_loss")

    @property
    def measures_at_end(self) -> bool:
        """Whether a frozen network goes through the whole first round at each round's end."""
        return self.uses_losses and self.losses == "end"

    @property
    def measures_forgetting(self) -> bool:
        """What ``forgetting`` comes to."""
        return self.rounds > 1 if self.forgetting is None else self.forgetting
