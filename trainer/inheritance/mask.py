"""A binary mask over units that is trained on text under the constraint of the student's size, the parent frozen.

The paper keeps neurons by a learned mask (arXiv 2402.02791, F4). Here each unit has a score; the units of largest
score, exactly as many of each kind as the student has, pass, and the others are gates of 0. The gradient of a gate goes
straight through to its score (arXiv 1308.3432, section 4), so that units outside are scored too. What is minimised is
the loss of the very network that the student will start as.

Shapes: as in ``trainer.inheritance.gates``.
"""

import numpy as np
import torch
from torch import Tensor

from model.config import ArchitectureConfig
from model.inheritance.units import Scores
from trainer.config import Precision
from trainer.inheritance.calibration import CalibrationText
from trainer.inheritance.gates import GatedParent, Gates

LEARNING_RATE = 0.02
"""Of Adam, over scores that start evenly spread over [0, 1] (measured on one parent that was used for nothing else:
bits per byte of held-out text after 100 steps 3.534 at 0.02 and 3.556 at 0.1; docs/inheritance.md)."""
BETAS = (0.9, 0.95)
"""Of Adam (assumed, as in training)."""


def learned_mask(
    parent: GatedParent,
    student: ArchitectureConfig,
    text: CalibrationText,
    steps: int,
    seed: int,
    precision: Precision,
) -> Scores:
    """Scores whose largest are the trained mask. The same seed gives the same mask.

    Args:
        parent: with the student's layers and width.
        student: how many units of each kind stay.
        text: batches are drawn from its windows, each once before any comes again.
        steps: of Adam, with a rate that falls linearly to 0.
        seed: of the first scores and the order of windows.
        precision: of the products.
    """
    generator = torch.Generator().manual_seed(seed)
    ones = Gates.ones(parent.config, len(parent.layers), parent.device)
    scores = Gates.of(torch.rand(gate.shape, generator=generator).to(parent.device) for gate in ones.tensors())
    for score in scores.tensors():
        score.requires_grad_()
    optimizer = torch.optim.Adam(scores.tensors(), lr=LEARNING_RATE, betas=BETAS)
    inputs_ns, targets_ns = text.inputs_ns.to(parent.device), text.targets_ns.to(parent.device)
    order = _Windows(len(inputs_ns), seed)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 - step / steps)
        gates, taken = straight_through(scores, parent.config, student), order.take(text.windows_at_once)
        loss = parent.loss(gates, inputs_ns[taken], targets_ns[taken], precision)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    return parent.scores(scores)


def step_tokens(text: CalibrationText) -> int:
    """Tokens of one step."""
    return text.windows_at_once * text.inputs_ns.shape[1]


class _Windows:
    """Windows of a text in a seeded order, each once before any comes again."""

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._generator = count, np.random.default_rng(seed)
        self._waiting: list[int] = []

    def take(self, size: int) -> list[int]:
        """The next ``size`` of them."""
        while len(self._waiting) < size:
            self._waiting += self._generator.permutation(self._count).tolist()
        taken, self._waiting = self._waiting[:size], self._waiting[size:]
        return taken


def straight_through(scores: Gates, parent: ArchitectureConfig, student: ArchitectureConfig) -> Gates:
    """Gates of 0 and 1 whose gradient is that of the scores; open are the units that a student would keep."""
    groups = (parent.kv_heads, parent.heads // parent.kv_heads)
    queries_lkg = scores.queries_lh.view(-1, *groups)
    opened = (
        _largest(scores.hidden_d, student.width),
        _largest(scores.heads_lk, student.kv_heads),
        _largest(queries_lkg, student.heads // student.kv_heads).flatten(-2),
        _largest(scores.ffn_lf, student.ffn_width),
    )
    pairs = zip(opened, scores.tensors(), strict=True)
    return Gates.of(gate + (score - score.detach()) for gate, score in pairs)


def _largest(scores: Tensor, count: int) -> Tensor:
    """1 at the ``count`` largest along the last axis, of equals the first, and 0 elsewhere."""
    kept = torch.argsort(scores.detach(), dim=-1, descending=True, stable=True)[..., :count]
    return torch.zeros_like(scores).scatter(-1, kept, 1.0)
