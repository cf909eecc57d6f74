"""What an optimizer step minimises: the loss of the text, and with a teacher the distance to its predictions too.

Shapes: m members, b sequences, s positions, n = b · s, d width, e width of the teacher, v vocabulary, r readings.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.distillation.loss import distillation_loss
from trainer.distillation.teacher import Teacher
from trainer.loss import head_loss


@dataclass(frozen=True)
class Criterion:
    """The objective of all members of a program."""

    z_loss: float
    teacher: Teacher | None = None

    @property
    def readings(self) -> int:
        """Values that are read beside the objective: the cross-entropy, and with a teacher the KL."""
        return 1 if self.teacher is None else 2

    @property
    def teacher_flops_per_token(self) -> int:
        """Of the teacher's forward pass; 0 without one."""
        return 0 if self.teacher is None else self.teacher.forward_flops_per_token

    def taught(self, inputs_mbs: Tensor) -> Tensor | None:
        """The teacher's hidden states ``mne``, if there is one; before the students', whose activations are kept."""
        return None if self.teacher is None else self.teacher.hidden(inputs_mbs)

    def loss(
        self, hidden_mnd: Tensor, head_mvd: Tensor, targets_mbs: Tensor, taught_mne: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The objective ``m`` with its graph, and the readings ``rm`` in nats a token without."""
        targets_mn = targets_mbs.flatten(1)
        if self.teacher is None:
            objective_m, nats_m = head_loss(hidden_mnd, head_mvd, targets_mn, self.z_loss)
            return objective_m, nats_m[None]
        assert taught_mne is not None
        config = self.teacher.config
        objective_m, *readings = distillation_loss(
            hidden_mnd,
            head_mvd,
            targets_mn,
            taught_mne,
            self.teacher.head_ve,
            weight=config.weight,
            temperature=config.temperature,
            z_loss=self.z_loss,
        )
        return objective_m, torch.stack(readings)
