import inspect
import logging
import math
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model import attention
from model.attention import AttentionBackend, attend, document_mask, fastest_backend
from model.config import ArchitectureConfig

BACKENDS: list[AttentionBackend] = ["sdpa", "matmul"]
FLASH: dict[AttentionBackend, str] = {"flash-attn-2": "flash_attn", "flash-attn-3": "flash_attn_interface"}
SHAPES = [(1, 1, 1, 2, 2), (2, 4, 4, 17, 8), (2, 6, 2, 33, 16), (1, 4, 1, 9, 6)]
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def inputs(b: int, h: int, k: int, s: int, e: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(s)
    return [torch.randn(b, heads, s, e, generator=generator).to(dtype).requires_grad_() for heads in (h, k, k)]


def some_documents(b: int, s: int) -> Tensor:
    """Documents of about four positions that begin anywhere."""
    return (torch.rand(b, s, generator=torch.Generator().manual_seed(s)) < 0.25).cumsum(1)


def by_definition(
    query: Tensor, key: Tensor, value: Tensor, scale: float | None = None, documents: Tensor | None = None
) -> Tensor:
    """softmax(scale · q K) V position by position, each over the past of its own document, in float64."""
    query, key, value = query.double(), key.double(), value.double()
    group = query.shape[1] // key.shape[1]
    scale = 1 / math.sqrt(query.shape[3]) if scale is None else scale
    documents = torch.zeros(query.shape[0], query.shape[2]) if documents is None else documents
    output = torch.zeros_like(query)
    for row, position in torch.cartesian_prod(*map(torch.arange, documents.shape)).tolist():
        past = [i for i in range(position + 1) if documents[row, i] == documents[row, position]]
        for head in range(query.shape[1]):
            past_key, past_value = key[row, head // group, past], value[row, head // group, past]
            scores = (past_key * query[row, head, position]).sum(-1) * scale
            output[row, head, position] = (scores.softmax(-1)[:, None] * past_value).sum(0)
    return output


def mixed(
    backend: AttentionBackend, tensors: list[Tensor], documents: Tensor | None, scale: float | None = None
) -> Tensor:
    query, key, value = tensors
    mask = None if documents is None else document_mask(documents, backend, query.dtype)
    return attend(query, key, value, backend, scale, mask)


def gradients(output: Tensor, tensors: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(output.double().square().sum(), tensors)


def compare(output: Tensor, tensors: list[Tensor], documents: Tensor | None, scale: float | None, error: float) -> None:
    """Compare values and gradients with the definition."""
    expected = by_definition(*tensors, scale, documents)
    torch.testing.assert_close(output.double(), expected, atol=error, rtol=error)
    for found, exact in zip(gradients(output, tensors), gradients(expected, tensors), strict=True):
        assert (found - exact).norm() <= 2 * error * exact.norm() + error


@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_backend_computes_the_definition(
    backend: AttentionBackend, shape: tuple[int, int, int, int, int], masked: bool, scale: float | None
) -> None:
    tensors = inputs(*shape)
    documents = some_documents(shape[0], shape[3]) if masked else None
    compare(mixed(backend, tensors, documents, scale), tensors, documents, scale, error=2e-5)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_bfloat16_stays_near_the_definition(backend: AttentionBackend, masked: bool) -> None:
    tensors = inputs(2, 4, 2, 24, 32, torch.bfloat16)
    documents = some_documents(2, 24) if masked else None
    output = mixed(backend, tensors, documents)
    assert output.dtype == torch.bfloat16
    compare(output, tensors, documents, None, error=0.03)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_single_document_is_the_whole_past(backend: AttentionBackend) -> None:
    tensors = inputs(2, 6, 2, 33, 16)
    whole = mixed(backend, tensors, torch.zeros(2, 33, dtype=torch.long))
    torch.testing.assert_close(whole, attend(*tensors, backend), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_stacked_attention_equals_each_alone(backend: AttentionBackend, masked: bool) -> None:
    stack = [torch.stack([tensor, tensor.flip(0)]).detach().requires_grad_() for tensor in inputs(2, 4, 2, 9, 8)]
    documents = torch.stack([some_documents(2, 9), some_documents(2, 9).flip(1).cummax(1).values])

    def alone(query: Tensor, key: Tensor, value: Tensor, documents_bs: Tensor) -> Tensor:
        return mixed(backend, [query, key, value], documents_bs if masked else None)

    output = torch.func.vmap(alone)(*stack, documents)
    expected = torch.stack([alone(*(tensor[i] for tensor in stack), documents[i]) for i in range(2)])
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(gradients(output, stack), gradients(expected, stack), atol=1e-5, rtol=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=4))
def test_starts_cut_the_batch_into_its_documents(begins: list[list[bool]]) -> None:
    documents = torch.tensor(begins).cumsum(1)
    starts = document_mask(documents, "flash-attn-2", torch.bfloat16)
    assert starts.dtype == torch.int32
    pieces = [(row, number) for row, numbers in enumerate(documents.tolist()) for number in dict.fromkeys(numbers)]
    flat = [(row, number) for row, numbers in enumerate(documents.tolist()) for number in numbers]
    assert [flat[start] for start in starts[: len(pieces)].tolist()] == pieces
    assert starts.diff()[: len(pieces)].tolist() == [flat.count(piece) for piece in pieces]
    assert set(starts[len(pieces) :].tolist()) == {documents.numel()}  # empty documents
    assert (len(starts) - 1).bit_count() == 1
    assert len(starts) - 1 < 2 * len(pieces)


def flash_attn_func(
    q: Tensor, k: Tensor, v: Tensor, *, softmax_scale: float, causal: bool, deterministic: bool
) -> Tensor:
    """The documented function of flash-attn: sequence before heads, causal."""
    assert causal
    assert deterministic
    return by_definition(*(tensor.transpose(1, 2) for tensor in (q, k, v)), softmax_scale).transpose(1, 2).to(q.dtype)


def flash_attn_varlen_func(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    **options: Any,
) -> Tensor:
    """The documented function of flash-attn: the documents one after the other, between the given starts."""
    lengths = cu_seqlens_q.diff().tolist()
    assert torch.equal(cu_seqlens_q, cu_seqlens_k)
    assert max(lengths) <= min(max_seqlen_q, max_seqlen_k)
    documents = zip(*(tensor[None].split(lengths, dim=1) for tensor in (q, k, v)), strict=True)
    return torch.cat([flash_attn_func(*document, **options)[0] for document in documents])


KERNELS = SimpleNamespace(flash_attn_func=flash_attn_func, flash_attn_varlen_func=flash_attn_varlen_func)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Decides which flash-attn packages can be imported on which compute capability."""

    def choose(capability: tuple[int, int], **packages: Any) -> None:
        attention._flash_backend.cache_clear()
        attention._LOADED.clear()
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
        for package in FLASH.values():
            monkeypatch.setitem(sys.modules, package, packages.get(package))  # None: import says it is missing

    yield choose
    attention._flash_backend.cache_clear()
    attention._LOADED.clear()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("backend", FLASH)
def test_flash_attn_is_called_as_it_is_documented(backend: AttentionBackend, masked: bool, install: Any) -> None:
    install((9, 0), **{FLASH[backend]: KERNELS})
    tensors, documents = inputs(2, 6, 2, 17, 8), some_documents(2, 17) if masked else None
    compare(mixed(backend, tensors, documents, 0.2), tensors, documents, 0.2, error=1e-5)


def test_compiled_code_reaches_flash_attn_without_a_break(install: Any) -> None:
    def kernel(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        return q * options["softmax_scale"] + v

    install((9, 0), flash_attn=SimpleNamespace(flash_attn_func=kernel, flash_attn_varlen_func=kernel))
    assert fastest_backend(CUDA, torch.bfloat16, architecture()) == "flash-attn-2"
    tensors = inputs(1, 2, 2, 5, 4)
    through = torch.compile(attend, backend="eager", fullgraph=True)
    torch.testing.assert_close(through(*tensors, "flash-attn-2"), attend(*tensors, "flash-attn-2"))


@pytest.mark.parametrize("masked", [False, True])
def test_torch_varlen_is_called_as_it_is_documented(masked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.nn.attention import varlen

    signature = inspect.signature(varlen.varlen_attn)

    def varlen_attn(*arguments: Any, **options: Any) -> Tensor:
        given = signature.bind(*arguments, **options).arguments
        assert (given["window_size"], given["enable_gqa"]) == ((-1, 0), True)
        starts = (given["cu_seq_q"], given["cu_seq_k"], given["max_q"], given["max_k"])
        packed = (given[name] for name in ("query", "key", "value"))
        options = {"softmax_scale": given["scale"], "causal": True, "deterministic": True}
        return flash_attn_varlen_func(*packed, *starts, **options)

    monkeypatch.setattr(varlen, "varlen_attn", varlen_attn)
    tensors, documents = inputs(2, 6, 2, 17, 8), some_documents(2, 17) if masked else None
    compare(mixed("torch-varlen", tensors, documents, 0.2), tensors, documents, 0.2, error=1e-5)


def architecture(sequence_length: int = 256, **changes: Any) -> ArchitectureConfig:
    shape = {"vocabulary_size": 300, "depth": 1, "width": 64, "ffn_width": 64, "kv_heads": 1}
    return ArchitectureConfig(**{**shape, "sequence_length": sequence_length, **changes})


def test_on_a_cpu_the_fastest_backend_follows_the_measurements() -> None:
    assert fastest_backend(CPU, torch.bfloat16, architecture(256)) == "matmul"
    assert fastest_backend(CPU, torch.bfloat16, architecture(512, head_dim=16)) == "sdpa"
    assert fastest_backend(CPU, torch.bfloat16, architecture(512, head_dim=32)) == "matmul"
    assert fastest_backend(CPU, torch.bfloat16, architecture(640, head_dim=64)) == "matmul"
    assert fastest_backend(CPU, torch.bfloat16, architecture(768, head_dim=64)) == "sdpa"
    assert fastest_backend(CPU, torch.float32, architecture(256)) == "sdpa"


@pytest.mark.parametrize(
    ("capability", "packages", "expected"),
    [
        ((9, 0), ["flash_attn", "flash_attn_interface"], "flash-attn-3"),
        ((9, 0), ["flash_attn"], "flash-attn-2"),
        ((8, 0), ["flash_attn", "flash_attn_interface"], "flash-attn-2"),
        ((10, 0), ["flash_attn_interface"], "sdpa"),
        ((7, 5), ["flash_attn"], "sdpa"),
        ((9, 0), [], "sdpa"),
    ],
)
def test_on_cuda_it_is_the_newest_flash_attn_that_fits(
    capability: tuple[int, int], packages: list[str], expected: str, install: Any
) -> None:
    install(capability, **dict.fromkeys(packages, KERNELS))
    assert fastest_backend(CUDA, torch.bfloat16, architecture()) == expected
    assert fastest_backend(CUDA, torch.bfloat16, architecture(), stacked=True) == "sdpa"
    assert fastest_backend(CUDA, torch.float32, architecture()) == "sdpa"
    assert fastest_backend(CUDA, torch.bfloat16, architecture(width=36, head_dim=36)) == "sdpa"
    assert fastest_backend(CUDA, torch.bfloat16, architecture(width=256, head_dim=256)) == "sdpa"


def test_a_missing_flash_attn_is_said_once(install: Any, caplog: pytest.LogCaptureFixture) -> None:
    install((9, 0), flash_attn=SimpleNamespace())  # the folder that flash-attn 4 alone leaves
    with caplog.at_level(logging.WARNING):
        backends = {fastest_backend(CUDA, torch.bfloat16, architecture()) for _ in range(3)}
    assert backends == {"sdpa"}
    reason = "flash_attn has no flash_attn_varlen_func"
    assert caplog.messages == [f"attention runs on sdpa, because flash-attn cannot be loaded: {reason}"]


def test_masked_documents_run_on_the_kernel_of_pytorch_where_flash_attn_is_missing(install: Any) -> None:
    install((9, 0))
    assert fastest_backend(CUDA, torch.bfloat16, architecture(mask_documents=True)) == "torch-varlen"
    assert fastest_backend(CUDA, torch.bfloat16, architecture(mask_documents=True), stacked=True) == "sdpa"


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_backend_on_a_gpu_equals_the_cpu(backend: AttentionBackend, masked: bool) -> None:
    tensors = [tensor.detach().cuda().requires_grad_() for tensor in inputs(2, 6, 2, 33, 16)]
    documents = some_documents(2, 33).cuda() if masked else None
    compare(mixed(backend, tensors, documents), tensors, documents, None, error=1e-3)


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", [(2, 4, 4, 200, 64), (3, 6, 2, 33, 16), (2, 8, 1, 129, 32)])
@pytest.mark.parametrize("backend", [*FLASH, "torch-varlen"])
def test_flash_kernels_compute_the_definition(
    backend: AttentionBackend, shape: tuple[int, int, int, int, int], masked: bool
) -> None:
    if backend in FLASH and attention._why_not(FLASH[backend]):
        pytest.skip(f"{backend} is not installed")
    tensors = [tensor.detach().cuda().requires_grad_() for tensor in inputs(*shape, torch.bfloat16)]
    documents = some_documents(shape[0], shape[3]).cuda() if masked else None
    compare(mixed(backend, tensors, documents), tensors, documents, None, error=0.03)
