"""One network of a run: its config and batches, how far it has come, and whether it still learns."""

import math
from dataclasses import dataclass, field

from trainer.config import ProxyConfig
from trainer.errors import TrainingDiverged
from trainer.inheritance.start import Start
from trainer.plan import RunPlan
from trainer.results import Evaluation
from trainer.summary import Progress
from trainer.text.data import Batches

DIVERGED_ABOVE_UNIFORM = 1.0
"""Nats above ln V, the loss of a uniform guess, at which an evaluated run counts as diverged (assumed)."""


@dataclass
class Member:
    """One network of a run."""

    config: ProxyConfig
    batches: Batches
    progress: Progress = field(default_factory=Progress)
    train_loss: float = math.nan
    """Nats per token, as last read."""
    train_loss_step: int = 0
    """The step whose loss it is."""
    kl: float | None = None
    """Nats per token between its teacher's and its own predictions in that step; None without a teacher."""
    failure: TrainingDiverged | None = None
    start: Start | None = None
    """Where it got its initial weights; None where they were drawn."""
    ended: bool = False
    """Whether its failure has been told."""

    def read_loss(self, loss: float, kl: float | None = None, *, plan: RunPlan) -> None:
        """Take the readings of the present step; a loss that is not finite is the member's failure."""
        self.train_loss, self.train_loss_step, self.kl = loss, self.progress.step, kl
        if self.failure is None and not math.isfinite(loss):
            self.failure = TrainingDiverged(f"the loss is {loss} at step {self.progress.step} of {plan.steps}")

    def check_evaluation(self, evaluation: Evaluation) -> None:
        """Let an evaluation far above that of a uniform guess be the member's failure."""
        limit = math.log(self.config.architecture.vocabulary_size) + DIVERGED_ABOVE_UNIFORM
        if self.failure is None and not evaluation.validation_loss <= limit:
            reason = f"the validation loss is {evaluation.validation_loss:.3f} at step {self.progress.step}"
            self.failure = TrainingDiverged(f"{reason}, above the {limit:.3f} at which a run is given up")
