"""Names of what computes attention; light, so that memory can be predicted without torch."""

from typing import Literal

AttentionBackend = Literal["sdpa", "matmul", "flash-attn-2", "flash-attn-3", "torch-varlen"]
"""``sdpa`` is PyTorch's scaled dot product, ``matmul`` plain products, ``torch-varlen`` the kernel for sequences of
varying length that CUDA builds of PyTorch bring; the others are the packages of the Flash-Attention project."""
