"""The fused loss of a student: cross-entropy of the text, and the distance to its teacher's predictions.

As in ``trainer.loss`` the logits, of the student and of the teacher, exist a few rows at a time.

Shapes: m members of a stack, n positions, d width of the student, e width of the teacher, v vocabulary.
"""

from torch import Tensor

from trainer.loss import HeadLoss


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
    objective_m, nats_m, kl_m = HeadLoss.apply(  # type: ignore[no-untyped-call]
        hidden_mnd, head_mvd, targets_mn, z_loss, teacher_mne, teacher_head_ve, weight, temperature
    )
    return objective_m, nats_m, kl_m
