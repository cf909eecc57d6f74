"""The quantities for arrays are those that the model counts."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from model.config import ArchitectureConfig
from model.counts import count_parameters, embedding_share, training_flops_per_token
from search.space.quantities import (
    DecodeLatency,
    DecodeMemory,
    EmbeddingShare,
    NonEmbeddingCount,
    ParameterCount,
    TrainingFlops,
)
from search.space.shapes import Shapes


@st.composite
def networks(draw):
    heads, head_dim = draw(st.integers(1, 24)), draw(st.sampled_from([2, 8, 32, 64]))
    kv_heads = draw(st.sampled_from([None, 1, 2, 4]))
    assume(kv_heads is None or heads % kv_heads == 0)
    return ArchitectureConfig(
        depth=draw(st.integers(1, 40)),
        vocabulary_size=draw(st.integers(257, 70_000)),
        width=heads * head_dim,
        head_dim=head_dim,
        kv_heads=kv_heads,
        ffn_width=draw(st.integers(1, 5000)),
        sequence_length=draw(st.sampled_from([2, 256, 1000])),
        block=draw(st.sampled_from(["llama", "pangu_pi"])),
        tied_head=draw(st.booleans()),
        qk_norm=draw(st.booleans()),
    )


def shapes(*configs, all_heads=False):
    """Shapes of some networks; with ``all_heads``, key and value heads are said to be as many as heads."""
    names = ("depth", "width", "vocabulary_size", "head_dim", "kv_heads", "sequence_length")
    columns = {name: np.array([getattr(config, name) for config in configs]) for name in names}
    if all_heads:
        columns["kv_heads"] = np.zeros_like(columns["kv_heads"])
    pangu = np.array([config.block == "pangu_pi" for config in configs])
    return Shapes(**columns, pangu_pi=pangu, tied_head=configs[0].tied_head, qk_norm=configs[0].qk_norm)


def amount(quantity, config, **how):
    return quantity.at(shapes(config, **how), np.array([config.ffn_width]))[0]


@given(config=networks())
def test_sizes_and_flops_are_those_of_the_model(config):
    counts = count_parameters(config)
    full = config.kv_heads == config.heads
    for all_heads in {False, full}:
        assert amount(ParameterCount(), config, all_heads=all_heads) == counts.total
        assert amount(NonEmbeddingCount(), config, all_heads=all_heads) == counts.non_embedding
    assert amount(EmbeddingShare(), config) == pytest.approx(embedding_share(config), rel=1e-12)
    assert amount(TrainingFlops(12_345), config) == pytest.approx(12_345 * training_flops_per_token(config), rel=1e-12)


@given(config=networks(), context=st.integers(1, 4096))
def test_memory_and_latency_are_what_decoding_reads(config, context):
    counts = count_parameters(config)
    cache = 2 * config.depth * config.kv_heads * config.head_dim * context * 1.5
    memory = DecodeMemory(context, 0.5, 1.5)
    assert amount(memory, config) == pytest.approx(0.5 * counts.total + cache, rel=1e-12)
    latency = DecodeLatency(memory, bytes_per_second=1e9, seconds_per_block=1e-3)
    read = counts.total if config.tied_head else counts.total - counts.embedding + config.width
    assert amount(latency, config) == pytest.approx((0.5 * read + cache) / 1e9 + 1e-3 * config.depth, rel=1e-12)


@given(config=networks(), grown=st.sampled_from(["depth", "width", "vocabulary_size", "ffn_width"]))
def test_every_quantity_that_is_solved_grows_with_every_parameter_that_is_solved(config, grown):
    more = {"width": config.width + config.head_dim * config.kv_heads}.get(grown, getattr(config, grown) + 1)
    larger = config.model_copy(update={grown: more})
    memory = DecodeMemory(64, 2, 2)
    for quantity in (ParameterCount(), TrainingFlops(10), memory, DecodeLatency(memory, 1e9, 0.0)):
        assert amount(quantity, larger) > amount(quantity, config)
    grows = 0 if grown == "vocabulary_size" else 1
    assert amount(NonEmbeddingCount(), larger) >= amount(NonEmbeddingCount(), config) + grows
