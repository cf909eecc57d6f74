"""First-order scores: how much the loss would change without a unit, as its gradient says.

With a gate z at a unit, the loss changes by about -∂loss/∂z when z goes from 1 to 0. The gradient of the gate is the
sum of gradient × weight over what the unit writes, which is that of activation × gradient over all positions
(arXiv 1906.10771, section 3.2; arXiv 2305.11627, equation 4, of which this is the first-order term).
"""

import torch

from model.inheritance.units import Scores
from trainer.config import Precision
from trainer.inheritance.calibration import CalibrationText
from trainer.inheritance.gates import GatedParent, Gates

WINDOWS = 4
"""Most windows of which one gradient is taken, fewer where they are long (assumed). Its absolute value is averaged over
the text, as arXiv 1906.10771 does over batches; the gradient of the whole text is near 0 for a parent that was trained
on it."""


def taylor_scores(parent: GatedParent, text: CalibrationText, precision: Precision) -> Scores:
    """Mean of |∂loss/∂gate| over groups of windows of a text, of each unit."""
    gates = Gates.ones(parent.config, len(parent.layers), parent.device)
    for gate in gates.tensors():
        gate.requires_grad_()
    totals = [torch.zeros_like(gate) for gate in gates.tensors()]
    for inputs_bs, targets_bs in text.batches(parent.device, WINDOWS):
        loss = parent.loss(gates, inputs_bs, targets_bs, precision)
        for total, gradient in zip(totals, torch.autograd.grad(loss, gates.tensors()), strict=True):
            total += gradient.abs() * len(inputs_bs)
    return parent.scores(Gates.of(total / len(text.inputs_ns) for total in totals))
