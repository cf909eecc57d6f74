"""Decoding with kept keys and values gives what a full forward pass gives, under every option of the network."""

from typing import Any

import pytest
import torch

from model.attention import AttentionBackend
from model.config import ArchitectureConfig
from model.decode import greedy, greedy_logits
from model.initialization import initialize
from model.tokenizer import END_OF_TEXT_ID
from model.transformer import Transformer

SHAPE: dict[str, Any] = {
    "vocabulary_size": 61,
    "depth": 2,
    "width": 32,
    "ffn_width": 45,
    "head_dim": 8,
    "sequence_length": 24,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "grouped heads": {"kv_heads": 2},
    "one key head": {"kv_heads": 1},
    "own head": {"tied_head": False},
    "masked documents": {"mask_documents": True},
    "normed queries and keys": {"qk_norm": True, "kv_heads": 2},
    "PanGu-π": {"block": "pangu_pi"},
    "muP": {"mup_base_width": 8},
}
"""Every option that changes a forward pass."""


def build(options: dict[str, Any], backend: AttentionBackend = "sdpa") -> Transformer:
    network = Transformer(ArchitectureConfig(**{**SHAPE, **options}), backend)
    initialize(network, "constant", 0.3, seed=1)
    return network.double()


def prompts(length: int) -> torch.Tensor:
    tokens = torch.randint(61, (5, length), generator=torch.Generator().manual_seed(3))
    tokens[:3, length // 2] = END_OF_TEXT_ID
    return tokens


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("length", [1, 2, 9])
def test_each_step_has_the_logits_of_a_full_forward_pass(name: str, length: int) -> None:
    network, prompt = build(OPTIONS[name]), prompts(length)
    with torch.no_grad():
        logits = torch.stack(list(greedy_logits(network, prompt, 24 - length)), dim=1)
        whole = network(greedy(network, prompt, 24 - length))
    torch.testing.assert_close(logits, whole[:, length - 1 : -1], atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("name", OPTIONS)
def test_tokens_are_those_of_decoding_without_what_is_kept(name: str) -> None:
    network, tokens = build(OPTIONS[name]), prompts(2)
    decoded = greedy(network, tokens, 22)
    for _ in range(22):
        tokens = torch.cat((tokens, network(tokens)[:, -1:].argmax(-1)), dim=1)
    assert torch.equal(decoded, tokens)
    assert len({tuple(row) for row in decoded[:, 2:].tolist()}) > 1, "the prompts are told apart"


def test_a_document_that_begins_while_decoding_hides_what_was_before() -> None:
    network = build({"mask_documents": True})
    with torch.no_grad():
        network.embedding.weight[END_OF_TEXT_ID] *= 4  # so that it is chosen now and then
        decoded = greedy(network, prompts(3), 21)
        logits = torch.stack(list(greedy_logits(network, prompts(3), 21)), dim=1)
    assert (decoded[:, 3:-1] == END_OF_TEXT_ID).any()
    torch.testing.assert_close(logits, network(decoded)[:, 2:-1], atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("backend", ["sdpa", "matmul"])
def test_every_backend_and_precision_decodes(backend: AttentionBackend) -> None:
    network = build({"kv_heads": 2}, backend).float()
    exact = greedy(network, prompts(4), 8)
    assert torch.equal(exact, greedy(build({"kv_heads": 2}).float(), prompts(4), 8))
    with torch.autocast("cpu", torch.bfloat16):
        half = next(greedy_logits(network, prompts(4), 1))
    assert half.dtype == torch.bfloat16
    with torch.no_grad():
        torch.testing.assert_close(half.float(), network(prompts(4))[:, -1], atol=0.2, rtol=0.1)
