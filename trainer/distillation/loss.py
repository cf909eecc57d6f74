"""The fused loss of a student: cross-entropy of the text, and the distance to its teacher's predictions.

As in ``trainer.loss`` the logits, of the student and of the teacher, exist a few rows at a time.

Shapes: m members of a stack, n positions, d width of the student, e width of the teacher, v vocabulary, r rows of one
piece.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainer.loss import picked, pieces, products


def distillation_loss(
    hidden_mnd: Tensor,
    head_mvd: Tensor,
    targets_mn: Tensor,
    teacher_mne: Tensor,
    teacher_head_ve: Tensor,
    weight: float,
    temperature: float,
    z_loss: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """What a student minimises: (1 - w) · cross-entropy + w · T² · KL(p ‖ q), and z-loss where it is asked for.

    p and q are the softmax of the teacher's and of the student's logits over T (arXiv 1503.02531, section 2). Their
    gradients shrink as 1 / T², which the factor T² takes back. The products are computed in the dtype of the hidden
    states, everything else in float32. The gradient is computed in the forward pass and cannot be differentiated again.

    Args:
        hidden_mnd: last hidden states of the student.
        head_mvd: its head matrices, in the dtype of the trained weights.
        targets_mn: token ids; all of them are predicted.
        teacher_mne: last hidden states of the teacher on the same tokens; no gradient reaches them.
        teacher_head_ve: the rows of its head that are the student's tokens, in the order of the student's ids.
        weight: w, from 0 to 1.
        temperature: T, above 0.
        z_loss: coefficient of log² Z at temperature 1, whatever the weight (see ``trainer.loss.head_loss``).

    Returns:
        Three tensors ``m``: the objective, and without gradients the cross-entropy and the KL, in nats a position.
    """
    objective_m, nats_m, kl_m = _DistillationLoss.apply(  # type: ignore[no-untyped-call]
        hidden_mnd, head_mvd, targets_mn, teacher_mne, teacher_head_ve, weight, temperature, z_loss
    )
    return objective_m, nats_m, kl_m


class _DistillationLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_mnd: Tensor,
        head_mvd: Tensor,
        targets_mn: Tensor,
        teacher_mne: Tensor,
        teacher_head_ve: Tensor,
        weight: float,
        temperature: float,
        z_loss: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        m, n, _ = hidden_mnd.shape
        cast_mvd, teacher_head_ve = head_mvd.to(hidden_mnd.dtype), teacher_head_ve.to(teacher_mne.dtype)
        nats_m, kl_m, squares_m = hidden_mnd.new_zeros((3, m), dtype=torch.float32)
        hidden_gradient_mnd = torch.empty_like(hidden_mnd)
        head_gradient_mvd = torch.zeros_like(head_mvd, dtype=torch.float32)
        for rows in pieces(n, head_mvd):
            hidden_mrd, targets_mr = hidden_mnd[:, rows], targets_mn[:, rows]
            logits_mrv = products(hidden_mrd, cast_mvd.mT)
            log_shares_mrv = logits_mrv.log_softmax(-1, dtype=torch.float32)
            picked_mr = picked(log_shares_mrv, targets_mr)
            log_z_mr = picked(logits_mrv, targets_mr).float() - picked_mr
            nats_m, squares_m = nats_m - picked_mr.sum(1), squares_m + log_z_mr.square().sum(1)
            teacher_mrv = F.linear(teacher_mne[:, rows], teacher_head_ve)
            kl_mr, difference_mrv = _towards_teacher(log_shares_mrv, teacher_mrv, temperature)
            kl_m = kl_m + kl_mr.sum(1)
            gradient_mrv = log_shares_mrv.exp_().mul_(1 - weight + 2 * z_loss * log_z_mr[..., None])
            given_mr1 = gradient_mrv.new_full((*targets_mr.shape, 1), weight - 1)
            gradient_mrv.scatter_add_(-1, targets_mr[..., None], given_mr1)
            gradient_mrv.add_(difference_mrv, alpha=weight * temperature)
            cast_mrv = gradient_mrv.to(hidden_mnd.dtype)
            hidden_gradient_mnd[:, rows] = products(cast_mrv, cast_mvd)
            head_gradient_mvd += products(cast_mrv.mT, hidden_mrd)
        ctx.save_for_backward(hidden_gradient_mnd, head_gradient_mvd)
        nats_m, kl_m = nats_m / n, kl_m / n
        ctx.mark_non_differentiable(nats_m, kl_m)
        objective_m = (1 - weight) * nats_m + weight * temperature**2 * kl_m + z_loss * squares_m / n
        return objective_m, nats_m, kl_m

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_m: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        hidden_gradient_mnd, head_gradient_mvd = ctx.saved_tensors
        share_m11 = (gradient_m / hidden_gradient_mnd.shape[1])[:, None, None]
        hidden_gradient_mnd = hidden_gradient_mnd * share_m11.to(hidden_gradient_mnd.dtype)
        return hidden_gradient_mnd, head_gradient_mvd * share_m11, *[None] * 6


def _towards_teacher(log_shares_mrv: Tensor, teacher_mrv: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """KL(p ‖ q) of each row, and q - p: its gradient by the student's logits, times T.

    ``log_shares_mrv`` differ from the student's logits by a constant of the row, which no softmax sees.
    """
    log_p_mrv = (teacher_mrv.float() / temperature).log_softmax(-1)
    log_q_mrv = (log_shares_mrv / temperature).log_softmax(-1)
    p_mrv = log_p_mrv.exp()
    kl_mr = log_p_mrv.sub_(log_q_mrv).mul_(p_mrv).sum(-1)
    return kl_mr, log_q_mrv.exp_().sub_(p_mrv)
