"""RMSNorm, in few passes over memory on a CPU, where PyTorch composes it of a dozen unless it compiles them."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """x / rms(x) · g (arXiv 1910.07467, equation 4), computed in float32 whatever the dtype of x."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x_bsd: Tensor) -> Tensor:
        """Normalise each position, in the dtype of the products that follow: one cast instead of one for each."""
        if x_bsd.device.type == "cpu" and not torch.compiler.is_compiling():
            normed_bsd: Tensor
            normed_bsd, _, _ = _CpuRMSNorm.apply(x_bsd, self.gain, self.eps, product_dtype(x_bsd))  # type: ignore[no-untyped-call]
            return normed_bsd
        return F.rms_norm(x_bsd.float(), self.gain.shape, self.gain.float(), self.eps).to(product_dtype(x_bsd))


def product_dtype(x: Tensor) -> torch.dtype:
    """The dtype of matrix products of ``x``: that of autocast where it is on."""
    kind = x.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return x.dtype


class _CpuRMSNorm(torch.autograd.Function):
    """The gain may have leading axes of size 1 or of the members of a stack."""

    @staticmethod
    def forward(x: Tensor, gain: Tensor, eps: float, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        x = x.float()
        mean_square = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1])
        inverse_rms = mean_square.add_(eps).rsqrt_()
        unit = x * inverse_rms
        normed = torch.empty_like(unit, dtype=dtype)
        return torch.mul(unit, gain, out=normed), unit, inverse_rms

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        _, unit, inverse_rms = output
        ctx.mark_non_differentiable(unit, inverse_rms)
        ctx.save_for_backward(unit, inverse_rms, inputs[1])
        ctx.dtype = inputs[0].dtype

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor, Tensor, None, None]:
        unit, inverse_rms, gain = ctx.saved_tensors
        product = gradient * unit
        mean = (product * gain).mean(-1, keepdim=True)
        gradient_x = (gradient * gain).addcmul_(unit, mean, value=-1).mul_(inverse_rms)
        return gradient_x.to(ctx.dtype), product.sum_to_size(gain.shape), None, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], x: Tensor, gain: Tensor, eps: float, dtype: torch.dtype
    ) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[int, int, int]]:
        """A stack: its members' gains are spread over the axes between member and channel."""
        x = x.expand(info.batch_size, *x.shape) if in_dims[0] is None else x.movedim(in_dims[0], 0)
        if in_dims[1] is not None:
            gain = gain.movedim(in_dims[1], 0)
            gain = gain.view(len(gain), *[1] * (x.ndim - 2), gain.shape[-1])
        return _CpuRMSNorm.apply(x, gain, eps, dtype), (0, 0, 0)  # type: ignore[no-untyped-call]
