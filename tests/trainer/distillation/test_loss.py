import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer import pieces as pieces_of_loss
from trainer.distillation.loss import distillation_loss
from trainer.loss import head_loss

Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


@pytest.fixture(autouse=True, params=[2**20, 300])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Logits at once: all of them, or a few rows."""
    monkeypatch.setattr(pieces_of_loss, "LOGITS_AT_ONCE", request.param)
    size: int = request.param
    return size


def inputs(members: int, dtype: torch.dtype = torch.float32) -> Inputs:
    generator = torch.Generator().manual_seed(members)
    hidden = torch.randn(members, 11, 16, generator=generator).to(dtype).requires_grad_()
    head = torch.randn(members, 50, 16, generator=generator).requires_grad_()
    targets = torch.randint(0, 50, (members, 11), generator=generator)
    teacher = torch.randn(members, 11, 24, generator=generator).to(dtype)
    return hidden, head, targets, teacher, torch.randn(50, 24, generator=generator)


def by_definition(given: Inputs, weight: float, temperature: float, z_loss: float) -> tuple[Tensor, Tensor, Tensor]:
    """By autograd, in float64: the objective, the cross-entropy and the KL of each member."""
    hidden, head, targets, teacher, teacher_head = given
    logits = hidden.double() @ head.double().transpose(1, 2)
    nats = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets).mean(1)
    towards = (teacher.double() @ teacher_head.double().T / temperature).softmax(-1)
    log_q = (logits / temperature).log_softmax(-1)
    kl = F.kl_div(log_q, towards, reduction="none").sum(-1).mean(1)
    squares = logits.logsumexp(-1).square().mean(1)
    return (1 - weight) * nats + weight * temperature**2 * kl + z_loss * squares, nats, kl


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("weight", [0.3, 1.0])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("z_loss", [0.0, 0.1])
def test_loss_and_gradients_are_those_of_the_definition(
    members: int, weight: float, temperature: float, z_loss: float
) -> None:
    given = inputs(members)
    shares = torch.arange(1.0, members + 1)
    found = distillation_loss(*given, weight, temperature, z_loss)
    wanted = by_definition(given, weight, temperature, z_loss)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)
    assert [value.requires_grad for value in found] == [True, False, False]
    (found[0] * shares).sum().backward()  # type: ignore[no-untyped-call]
    gradients = torch.autograd.grad((wanted[0] * shares).sum(), given[:2])
    for given_one, gradient in zip(given, gradients, strict=False):
        torch.testing.assert_close(given_one.grad, gradient, rtol=1e-4, atol=2e-6)


def test_the_gradient_is_the_slope_of_the_objective() -> None:
    """Central differences, which know nothing of the formula."""
    hidden, head, *rest = inputs(1)
    distillation_loss(hidden, head, *rest, 0.7, 3.0, 0.05)[0].sum().backward()  # type: ignore[no-untyped-call]
    direction = torch.randn(head.shape, generator=torch.Generator().manual_seed(5))
    step = 1e-2
    values = [
        by_definition((hidden.detach(), head.detach() + sign * step * direction, *rest), 0.7, 3.0, 0.05)[0].item()
        for sign in (1, -1)
    ]
    assert head.grad is not None
    assert (head.grad * direction).sum().item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-3)


def test_without_weight_it_is_the_loss_of_the_text() -> None:
    hidden, head, targets, teacher, teacher_head = inputs(2)
    objective, nats, _ = distillation_loss(hidden, head, targets, teacher, teacher_head, 0.0, 2.0, 0.1)
    expected, expected_nats = head_loss(hidden, head, targets, 0.1)
    torch.testing.assert_close(objective, expected)
    torch.testing.assert_close(nats, expected_nats)


@pytest.mark.parametrize("temperature", [0.01, 1.0, 100.0])
def test_a_student_that_predicts_as_its_teacher_has_nothing_to_learn(temperature: float) -> None:
    hidden, head, targets, *_ = inputs(1)
    objective, _, kl = distillation_loss(
        hidden, head, targets, hidden.detach(), head[0].detach(), weight=1.0, temperature=temperature
    )
    assert kl.item() == pytest.approx(0.0, abs=1e-6)
    objective.sum().backward()  # type: ignore[no-untyped-call]
    assert hidden.grad is not None
    assert hidden.grad.abs().max() < 1e-4 * temperature


def test_bfloat16_products_give_float32_gradients_of_the_head() -> None:
    given = inputs(2, torch.bfloat16)
    objective, nats, kl = distillation_loss(*given, 0.5, 2.0)
    objective.sum().backward()  # type: ignore[no-untyped-call]
    hidden, head = given[:2]
    assert hidden.grad is not None
    assert head.grad is not None
    assert (hidden.grad.dtype, head.grad.dtype) == (torch.bfloat16, torch.float32)
    assert nats.dtype == kl.dtype == torch.float32
    expected = by_definition(given, 0.5, 2.0, 0.0)[0]
    torch.testing.assert_close(objective.double(), expected, rtol=0.02, atol=0.02)
    wanted = torch.autograd.grad(expected.sum(), head)[0]
    torch.testing.assert_close(head.grad, wanted, rtol=0.05, atol=0.02)
