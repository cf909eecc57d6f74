import math

import pytest
import torch
from torch import Tensor

from model.attention import LONGEST_MATMUL_SEQUENCE, AttentionBackend, attend, fastest_backend

BACKENDS: list[AttentionBackend] = ["sdpa", "matmul"]
SHAPES = [(1, 1, 1, 2, 2), (2, 4, 4, 17, 8), (2, 6, 2, 33, 16), (1, 4, 1, 9, 6)]


def inputs(b: int, h: int, k: int, s: int, e: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(s)
    return [torch.randn(b, heads, s, e, generator=generator).to(dtype).requires_grad_() for heads in (h, k, k)]


def by_definition(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(q K / √e) V position by position, each over its own past, in float64."""
    query, key, value = query.double(), key.double(), value.double()
    group = query.shape[1] // key.shape[1]
    output = torch.zeros_like(query)
    for head in range(query.shape[1]):
        for position in range(query.shape[2]):
            past_key, past_value = key[:, head // group, : position + 1], value[:, head // group, : position + 1]
            scores = (past_key * query[:, head, position, None]).sum(-1) / math.sqrt(query.shape[3])
            output[:, head, position] = (scores.softmax(-1)[..., None] * past_value).sum(1)
    return output


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_backend_computes_the_definition(backend: AttentionBackend, shape: tuple[int, ...]) -> None:
    query, key, value = inputs(*shape)
    expected = by_definition(query, key, value)
    torch.testing.assert_close(attend(query, key, value, backend).double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_backends_have_equal_gradients(shape: tuple[int, ...]) -> None:
    gradients = []
    for backend in BACKENDS:
        tensors = inputs(*shape)
        attend(*tensors, backend).square().sum().backward()
        gradients.append([tensor.grad for tensor in tensors])
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_bfloat16_stays_near_the_definition(backend: AttentionBackend) -> None:
    tensors = inputs(2, 4, 2, 64, 32, torch.bfloat16)
    mixed = attend(*tensors, backend)
    assert mixed.dtype == torch.bfloat16
    torch.testing.assert_close(mixed.double(), by_definition(*tensors), atol=0.03, rtol=0.03)


def test_fastest_backend_follows_the_measurements() -> None:
    cpu = torch.device("cpu")
    assert fastest_backend(cpu, torch.bfloat16, 256) == "matmul"
    assert fastest_backend(cpu, torch.bfloat16, LONGEST_MATMUL_SEQUENCE + 1) == "sdpa"
    assert fastest_backend(cpu, torch.float32, 256) == "sdpa"
    assert fastest_backend(torch.device("cuda"), torch.bfloat16, 256) == "sdpa"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("backend", BACKENDS)
def test_backend_on_a_gpu_equals_the_cpu(backend: AttentionBackend) -> None:
    tensors = inputs(2, 6, 2, 33, 16)
    on_gpu = attend(*(tensor.cuda() for tensor in tensors), backend)
    torch.testing.assert_close(on_gpu.cpu(), attend(*tensors, backend), atol=1e-3, rtol=1e-3)
