"""Shares of a GPU: runs side by side fit together, whatever their shares; the cap itself needs a GPU."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.machine.devices import CUDA_CONTEXT_BYTES, gpu_memory_limit, limit_gpu_memory

TOTAL = 80 * 2**30


@given(shares=st.lists(st.integers(1, 64), min_size=1, max_size=64))
def test_the_limits_of_shares_and_what_cuda_takes_fit_on_the_gpu(shares: list[int]) -> None:
    limits = [gpu_memory_limit(share / sum(shares), TOTAL) for share in shares]
    assert all(limit >= 0 for limit in limits)
    held = [limit + CUDA_CONTEXT_BYTES for limit in limits if limit]
    assert sum(held) <= TOTAL


def test_a_share_leaves_the_rest_to_others() -> None:
    assert gpu_memory_limit(0.25, TOTAL) == 20 * 2**30 - CUDA_CONTEXT_BYTES
    assert gpu_memory_limit(1e-3, TOTAL) == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_run_cannot_take_more_than_its_share() -> None:
    total = torch.cuda.get_device_properties().total_memory
    limit_gpu_memory(0.25)
    try:
        with pytest.raises(torch.cuda.OutOfMemoryError):
            torch.empty(total // 4, dtype=torch.uint8, device="cuda")
        torch.empty(total // 8, dtype=torch.uint8, device="cuda")
    finally:
        limit_gpu_memory(1.0)
