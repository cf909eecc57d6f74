"""The attention that a run takes against the fastest one at its shape, forward and backward: lowest ratio of all.

On a CPU seconds are those of the process, which other processes disturb less than those of the clock.
"""

import itertools
import statistics
import time

import torch
from torch import Tensor

from model.attention import AttentionBackend, attend, document_mask, fastest_backend
from model.config import ArchitectureConfig

TOKENS, WIDTH, ROUNDS = 2048, 128, 11
SHAPES = ((128, 32), (256, 16), (256, 32), (512, 64), (1024, 32))
"""Sequence length and channels of a head."""
DOCUMENT_TOKENS = 200
"""Mean length of a document (assumed)."""


class Case:
    """One shape, precision and mask."""

    def __init__(self, device: torch.device, dtype: torch.dtype, shape: tuple[int, int], masked: bool) -> None:
        sequence_length, head_dim = shape
        heads, batch = WIDTH // head_dim, TOKENS // sequence_length
        self.label = f"{dtype} S {sequence_length} e {head_dim}{' masked' if masked else ''}"
        self.architecture = ArchitectureConfig(
            vocabulary_size=2,
            depth=1,
            width=WIDTH,
            ffn_width=1,
            head_dim=head_dim,
            kv_heads=heads,
            sequence_length=sequence_length,
            mask_documents=masked,
        )
        size = (batch, heads, sequence_length, head_dim)
        self.inputs = [torch.randn(size, device=device, dtype=dtype, requires_grad=True) for _ in range(3)]
        self.documents_bs = (torch.rand(batch, sequence_length, device=device) < 1 / DOCUMENT_TOKENS).cumsum(1)
        self.chosen = fastest_backend(device, dtype, self.architecture)

    def candidates(self) -> set[AttentionBackend]:
        """What could have been taken."""
        query = self.inputs[0]
        more: set[AttentionBackend] = {"torch-varlen"} if query.is_cuda and query.dtype == torch.bfloat16 else set()
        return {"sdpa", "matmul", self.chosen} | more

    def seconds(self, backend: AttentionBackend) -> float:
        """One forward and backward pass, with the mask where there is one."""
        mask: Tensor | None = None
        if self.architecture.mask_documents:
            mask = document_mask(self.documents_bs, backend, self.inputs[0].dtype)
        start = _now(self.inputs[0].device)
        output = attend(*self.inputs, backend, mask=mask)
        torch.autograd.grad(output.sum(), self.inputs)
        return _now(self.inputs[0].device) - start


def _now(device: torch.device) -> float:
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def share_of_fastest(case: Case) -> float:
    """Seconds of the fastest candidate over those of the one taken; the candidates take turns."""
    rounds = [{backend: case.seconds(backend) for backend in case.candidates()} for _ in range(ROUNDS)]
    medians = {backend: statistics.median(one[backend] for one in rounds[1:]) for backend in rounds[0]}
    times = ", ".join(f"{backend} {1000 * seconds:.2f} ms" for backend, seconds in sorted(medians.items()))
    print(f"{case.label}: takes {case.chosen}; {times}", flush=True)
    return min(medians.values()) / medians[case.chosen]


def measure() -> float:
    """Lowest share over shapes, precisions and masks."""
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cases = itertools.product((torch.bfloat16, torch.float32), SHAPES, (False, True))
    return min(share_of_fastest(Case(device, *case)) for case in cases)
