import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from model.config import ArchitectureConfig
from model.counts import (
    count_parameters,
    decoding_bytes,
    embedding_share,
    forward_flops_per_token,
    non_embedding_flops_per_token,
    size_conventions,
    training_flops_per_token,
)
from model.transformer import Transformer

LLAMA_7B = ArchitectureConfig(
    vocabulary_size=32_000, depth=32, width=4096, ffn_width=11_008, head_dim=128, tied_head=False, sequence_length=2048
)
GROUPS = {"embedding": "embedding", "head": "head", "attention": "attention", "shortcut": "attention", "ffn": "ffn"}


@st.composite
def architectures(draw: st.DrawFn) -> ArchitectureConfig:
    head_dim, kv_heads, group = 2 * draw(st.integers(1, 8)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return ArchitectureConfig(
        vocabulary_size=draw(st.integers(2, 300)),
        depth=draw(st.integers(1, 4)),
        width=head_dim * kv_heads * group,
        ffn_width=draw(st.integers(1, 131)),
        head_dim=head_dim,
        kv_heads=kv_heads,
        tied_head=draw(st.booleans()),
        sequence_length=draw(st.integers(2, 40)),
        block=draw(st.sampled_from(["llama", "pangu_pi"])),
        qk_norm=draw(st.booleans()),
    )


def on_meta(config: ArchitectureConfig) -> Transformer:
    with torch.device("meta"):
        return Transformer(config, "matmul")


def built_counts(network: Transformer) -> dict[str, int]:
    counts = dict.fromkeys(("embedding", "attention", "ffn", "norm", "head"), 0)
    for name, parameter in network.named_parameters():
        part = next(part for part in GROUPS if part in name.split(".")) if not name.endswith("gain") else "norm"
        counts[GROUPS.get(part, part)] += parameter.numel()
    return counts


@settings(max_examples=60, deadline=None)
@given(architectures())
def test_counts_equal_the_built_network(config: ArchitectureConfig) -> None:
    network = on_meta(config)
    counts = count_parameters(config)
    assert vars(counts) == built_counts(network)
    assert counts.total == sum(parameter.numel() for parameter in network.parameters())
    table = config.vocabulary_size * config.width
    assert counts.non_embedding == counts.total - (table if config.tied_head else 2 * table)


@settings(max_examples=40, deadline=None)
@given(architectures(), st.integers(1, 3))
def test_forward_flops_equal_the_flop_counter(config: ArchitectureConfig, batch: int) -> None:
    tokens_bs = torch.zeros(batch, config.sequence_length, dtype=torch.long, device="meta")
    with FlopCounterMode(display=False) as counter:
        on_meta(config)(tokens_bs)
    assert counter.get_total_flops() == forward_flops_per_token(config) * tokens_bs.numel()


@settings(max_examples=20, deadline=None)
@given(architectures())
def test_training_flops_equal_the_flop_counter(config: ArchitectureConfig) -> None:
    tokens_bs = torch.zeros(2, config.sequence_length, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        Transformer(config, "matmul")(tokens_bs).sum().backward()
    assert counter.get_total_flops() == training_flops_per_token(config) * tokens_bs.numel()


def test_llama_7b_has_its_published_size() -> None:
    counts = count_parameters(LLAMA_7B)
    assert counts.total == 6_738_415_616
    assert vars(counts) == built_counts(on_meta(LLAMA_7B))


def test_a_pangu_pi_block_costs_what_the_paper_says() -> None:
    """Of a width of 2048: 2 d² / 32 for the bottleneck (section 4.1), a scale and a shift for two activations."""
    shape = {"vocabulary_size": 100, "depth": 12, "width": 2048, "ffn_width": 5464, "head_dim": 128}
    plain, pangu = (count_parameters(ArchitectureConfig(**shape, block=block)) for block in ("llama", "pangu_pi"))
    assert pangu.attention - plain.attention == 12 * 2 * 2048**2 // 32
    assert pangu.ffn - plain.ffn == 12 * 2 * 2 * 5464
    assert (pangu.norm, pangu.embedding) == (plain.norm, plain.embedding)


def test_embedding_share_counts_both_tables_only_when_untied() -> None:
    shape = {"vocabulary_size": 100, "depth": 1, "width": 8, "ffn_width": 3, "head_dim": 2}
    block = 4 * 8 * 8 + 3 * 8 * 3 + 3 * 8
    tied = ArchitectureConfig(**shape, tied_head=True)
    untied = ArchitectureConfig(**shape, tied_head=False)
    assert embedding_share(tied) == pytest.approx(800 / (800 + block))
    assert embedding_share(untied) == pytest.approx(1600 / (1600 + block))


def test_decoding_keeps_half_a_mebibyte_for_each_token_of_llama_7b() -> None:
    weights = 2 * 6_738_415_616
    assert decoding_bytes(LLAMA_7B, 2048) == weights + 2048 * 2**19
    grouped = LLAMA_7B.model_copy(update={"kv_heads": 8})
    assert decoding_bytes(grouped, 2048) - 2 * count_parameters(grouped).total == 2048 * 2**17


def test_the_scale_of_deepseek_is_its_equation() -> None:
    config = ArchitectureConfig(vocabulary_size=700, depth=5, width=96, ffn_width=256, sequence_length=128)
    assert non_embedding_flops_per_token(config) == 72 * 5 * 96**2 + 12 * 5 * 96 * 128


@given(architectures())
def test_conventions_differ_by_the_tables_alone(config: ArchitectureConfig) -> None:
    counts, sizes = count_parameters(config), size_conventions(config)
    table = config.vocabulary_size * config.width
    assert counts.total - counts.non_embedding == sizes["embedding_parameters"] + sizes["head_parameters"]
    assert sizes["head_parameters"] == (0 if config.tied_head else table)
    assert sizes["non_embedding_with_head_parameters"] == counts.total - (0 if config.tied_head else table)
    assert sizes["training_flops_per_token"] - sizes["non_embedding_flops_per_token"] == 6 * table
