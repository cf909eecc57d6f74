"""The fused loss: head product, softmax and cross-entropy a few rows at a time, so that the logits never exist whole.

Shapes: m members of a stack, n positions, d width, e width of a teacher, v vocabulary, r rows of one piece.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainer.distillation.distance import towards_teacher
from trainer.pieces import logits_at_once

IGNORED = -100
"""A target that is not predicted."""


def head_loss(hidden_mnd: Tensor, head_mvd: Tensor, targets_mn: Tensor, z_loss: float = 0.0) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of ``softmax(hidden headᵀ)``, and what is to be minimised.

    The products are computed in the dtype of the hidden states, everything else in float32. The gradient is computed in
    the forward pass, where the logits are at hand; it cannot be differentiated again.

    Args:
        hidden_mnd: last hidden states.
        head_mvd: head matrices, in the dtype of the trained weights.
        targets_mn: token ids; all of them are predicted.
        z_loss: coefficient of log² Z, Z being the softmax's denominator (PaLM, arXiv 2204.02311, section 5).

    Returns:
        Two tensors ``m``: the objective, z-loss included, and the cross-entropy alone in nats, which has no gradient.
    """
    objective_m, nats_m, _ = HeadLoss.apply(  # type: ignore[no-untyped-call]
        hidden_mnd, head_mvd, targets_mn, z_loss, None, None, 0.0, 1.0
    )
    return objective_m, nats_m


@torch.no_grad()
def head_nats(hidden_mnd: Tensor, head_mvd: Tensor, targets_mn: Tensor) -> Tensor:
    """Cross-entropy of each member in nats, float64, summed over the targets that are not ``IGNORED``."""
    total_m = torch.zeros(len(hidden_mnd), dtype=torch.float64, device=hidden_mnd.device)
    cast_mvd = head_mvd.to(hidden_mnd.dtype)
    for rows in _pieces(hidden_mnd.shape[1], head_mvd):
        logits_mrv = _products(hidden_mnd[:, rows], cast_mvd.mT)
        targets_mr = targets_mn[:, rows]
        nats_mr = -_picked(logits_mrv.log_softmax(-1, dtype=torch.float32), targets_mr.clamp(min=0))
        total_m += torch.where(targets_mr == IGNORED, 0.0, nats_mr).double().sum(1)
    return total_m


class HeadLoss(torch.autograd.Function):
    """The loop over pieces, of the text alone (``head_loss``) and of a teacher's predictions beside it
    (``trainer.distillation.loss``), which are None and the weight 0 without one.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden_mnd: Tensor,
        head_mvd: Tensor,
        targets_mn: Tensor,
        z_loss: float,
        teacher_mne: Tensor | None,
        teacher_head_ve: Tensor | None,
        weight: float,
        temperature: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The objective, the cross-entropy and the KL: ``m`` each, the last two without a gradient."""
        m, n, _ = hidden_mnd.shape
        cast_mvd = head_mvd.to(hidden_mnd.dtype)
        nats_m, squares_m, kl_m = hidden_mnd.new_zeros((3, m), dtype=torch.float32)
        hidden_gradient_mnd = torch.empty_like(hidden_mnd)
        head_gradient_mvd = torch.zeros_like(head_mvd, dtype=torch.float32)
        for rows in _pieces(n, head_mvd):
            hidden_mrd, targets_mr = hidden_mnd[:, rows], targets_mn[:, rows]
            logits_mrv = _products(hidden_mrd, cast_mvd.mT)
            log_shares_mrv = logits_mrv.log_softmax(-1, dtype=torch.float32)
            picked_mr = _picked(log_shares_mrv, targets_mr)
            nats_m = nats_m - picked_mr.sum(1)
            difference_mrv = None
            if teacher_mne is not None and teacher_head_ve is not None:
                teacher_mrv = F.linear(teacher_mne[:, rows], teacher_head_ve.to(teacher_mne.dtype))
                kl_mr, difference_mrv = towards_teacher(log_shares_mrv, teacher_mrv, temperature)
                kl_m = kl_m + kl_mr.sum(1)
            gradient_mrv = log_shares_mrv.exp_()
            if z_loss:
                log_z_mr = _picked(logits_mrv, targets_mr).float() - picked_mr
                squares_m = squares_m + log_z_mr.square().sum(1)
                gradient_mrv.mul_(1 - weight + 2 * z_loss * log_z_mr[..., None])
            elif weight:
                gradient_mrv.mul_(1 - weight)
            given_mr1 = gradient_mrv.new_full((*targets_mr.shape, 1), weight - 1)
            gradient_mrv.scatter_add_(-1, targets_mr[..., None], given_mr1)
            if difference_mrv is not None:
                gradient_mrv.add_(difference_mrv, alpha=weight * temperature)
            cast_mrv = gradient_mrv.to(hidden_mnd.dtype)
            hidden_gradient_mnd[:, rows] = _products(cast_mrv, cast_mvd)
            head_gradient_mvd += _products(cast_mrv.mT, hidden_mrd)
        ctx.save_for_backward(hidden_gradient_mnd, head_gradient_mvd)
        nats_m, kl_m = nats_m / n, kl_m / n
        ctx.mark_non_differentiable(nats_m, kl_m)
        objective_m = (1 - weight) * nats_m + weight * temperature**2 * kl_m + z_loss * squares_m / n
        return objective_m, nats_m, kl_m

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_m: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """Of the hidden states and the head: the gradient of the forward pass, times that of the objective."""
        hidden_gradient_mnd, head_gradient_mvd = ctx.saved_tensors
        share_m11 = (gradient_m / hidden_gradient_mnd.shape[1])[:, None, None]
        hidden_gradient_mnd = hidden_gradient_mnd * share_m11.to(hidden_gradient_mnd.dtype)
        return hidden_gradient_mnd, head_gradient_mvd * share_m11, *[None] * 6


def _pieces(positions: int, head_mvd: Tensor) -> Iterator[slice]:
    """The rows of one piece after the other."""
    rows = max(logits_at_once(head_mvd.device.type) // (head_mvd.shape[0] * head_mvd.shape[1]), 1)
    return (slice(start, start + rows) for start in range(0, positions, rows))


def _picked(logits_mrv: Tensor, targets_mr: Tensor) -> Tensor:
    """What each row holds at its target."""
    return logits_mrv.gather(-1, targets_mr[..., None]).squeeze(-1)


def _products(left_mij: Tensor, right_mjk: Tensor) -> Tensor:
    """Each member's product; that of one without the copies which a batched product of transposed matrices makes."""
    return (left_mij[0] @ right_mjk[0])[None] if len(left_mij) == 1 else left_mij @ right_mjk
