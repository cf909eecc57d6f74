import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer import pieces as pieces_of_loss
from trainer.loss import IGNORED, head_loss, head_nats


@pytest.fixture(autouse=True, params=[2**20, 300])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Logits at once: all of them, or three rows."""
    monkeypatch.setattr(pieces_of_loss, "LOGITS_AT_ONCE", request.param)
    size: int = request.param
    return size


def inputs(members: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(members)
    hidden = torch.randn(members, 11, 16, generator=generator).to(dtype).requires_grad_()
    head = torch.randn(members, 50, 16, generator=generator).requires_grad_()
    return hidden, head, torch.randint(0, 50, (members, 11), generator=generator)


def by_definition(hidden: Tensor, head: Tensor, targets: Tensor, z_loss: float) -> Tensor:
    logits = hidden.double() @ head.double().transpose(1, 2)
    nats = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
    return (nats + z_loss * logits.logsumexp(-1).square()).mean(1)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("z_loss", [0.0, 0.1])
def test_loss_and_gradients_are_those_of_the_definition(members: int, z_loss: float) -> None:
    hidden, head, targets = inputs(members)
    weights = torch.arange(1.0, members + 1)
    objective, nats = head_loss(hidden, head, targets, z_loss)
    expected = by_definition(hidden, head, targets, z_loss)
    torch.testing.assert_close(objective.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(nats.double(), by_definition(hidden, head, targets, 0.0), rtol=1e-5, atol=1e-5)
    assert not nats.requires_grad
    (objective * weights).sum().backward()  # type: ignore[no-untyped-call]
    found = hidden.grad, head.grad
    wanted = torch.autograd.grad((expected * weights).sum(), (hidden, head))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_bfloat16_products_give_float32_gradients_of_the_head() -> None:
    hidden, head, targets = inputs(2, torch.bfloat16)
    objective, _ = head_loss(hidden, head, targets)
    objective.sum().backward()  # type: ignore[no-untyped-call]
    assert hidden.grad is not None
    assert head.grad is not None
    assert (hidden.grad.dtype, head.grad.dtype) == (torch.bfloat16, torch.float32)
    expected = by_definition(hidden, head, targets, 0.0)
    torch.testing.assert_close(objective.double(), expected, rtol=0.02, atol=0.02)
    wanted = torch.autograd.grad(expected.sum(), head)[0]
    torch.testing.assert_close(head.grad, wanted, rtol=0.05, atol=0.01)


def test_ignored_targets_are_not_summed() -> None:
    hidden, head, targets = inputs(2)
    some = targets.clone()
    some[:, ::3] = IGNORED
    logits = (hidden @ head.transpose(1, 2)).double()
    for member, total in enumerate(head_nats(hidden, head, some)):
        expected = F.cross_entropy(logits[member], some[member], ignore_index=IGNORED, reduction="sum")
        assert total.item() == pytest.approx(expected.item(), rel=1e-6)
