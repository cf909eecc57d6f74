"""How far a student's predictions are from its teacher's.

Shapes: m members of a stack, r rows of one piece, v vocabulary.
"""

from torch import Tensor


def towards_teacher(log_shares_mrv: Tensor, teacher_mrv: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """KL(p ‖ q) of each row, and q - p: its gradient by the student's logits, times T.

    ``log_shares_mrv`` differ from the student's logits by a constant of the row, which no softmax sees.
    """
    log_p_mrv = (teacher_mrv.float() / temperature).log_softmax(-1)
    log_q_mrv = (log_shares_mrv / temperature).log_softmax(-1)
    p_mrv = log_p_mrv.exp()
    kl_mr = log_p_mrv.sub_(log_q_mrv).mul_(p_mrv).sum(-1)
    return kl_mr, log_q_mrv.exp_().sub_(p_mrv)
