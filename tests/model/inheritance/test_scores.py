from collections.abc import Callable
from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings

from model.config import ArchitectureConfig
from model.inheritance.scores import l1, l2, random, summed
from model.inheritance.units import Scores
from model.transformer import Transformer
from tests.model.inheritance.networks import architecture, families, network


def tensors(scores: Scores) -> list[torch.Tensor]:
    return [getattr(scores, field.name) for field in fields(scores)]


def test_random_scores_follow_from_the_seed_alone() -> None:
    built = network(architecture())
    torch.manual_seed(5)
    first, again, other = random(built, 1), random(built, 1), random(built, 2)
    assert all(torch.equal(one, two) for one, two in zip(tensors(first), tensors(again), strict=True))
    assert not any(torch.equal(one, two) for one, two in zip(tensors(first), tensors(other), strict=True))


@given(families())
@settings(max_examples=20, deadline=None)
def test_every_score_has_the_shape_of_its_units(family: tuple[ArchitectureConfig, ArchitectureConfig]) -> None:
    config = family[0]
    for score in (lambda built: random(built, 0), l1, l2):
        scores = score(network(config))
        assert scores.hidden_d.shape == (config.width,)
        assert scores.heads_lk.shape == (config.depth, config.kv_heads)
        assert scores.queries_lh.shape == (config.depth, config.heads)
        assert scores.ffn_lf.shape == (config.depth, config.ffn_width)


def weights_of(built: Transformer, touches: Callable[[Transformer], None]) -> list[torch.Tensor]:
    """The weights that NaN put into a unit by ``touches`` reaches: those that would go with it."""
    marked = network(built.config)
    with torch.no_grad():
        touches(marked)
    return [
        built.get_parameter(name)[weight.isnan()] for name, weight in marked.named_parameters() if weight.isnan().any()
    ]


def mark_hidden(built: Transformer) -> None:
    nan = float("nan")
    built.embedding.weight[:, 5] = nan
    if built.head is not None:
        built.head.weight[:, 5] = nan
    built.norm.gain[5] = nan
    for block in built.blocks:
        block.attention_norm.gain[5] = block.ffn_norm.gain[5] = nan  # type: ignore[operator, union-attr]
        for name in ("attention.query", "attention.key", "attention.value", "ffn.gate", "ffn.up"):
            block.get_parameter(f"{name}.weight")[:, 5] = nan
        for name in ("attention.output", "ffn.down"):
            block.get_parameter(f"{name}.weight")[5] = nan


def mark_query(built: Transformer, head: int) -> None:
    own = slice(4 * head, 4 * head + 4)
    built.get_parameter("blocks.1.attention.query.weight")[own] = float("nan")
    built.get_parameter("blocks.1.attention.output.weight")[:, own] = float("nan")


def mark_head(built: Transformer) -> None:
    """Key and value head 1 of 2 in layer 1, which query heads 2 and 3 share."""
    for name in ("key", "value"):
        built.get_parameter(f"blocks.1.attention.{name}.weight")[4:8] = float("nan")
    mark_query(built, 2)
    mark_query(built, 3)


def mark_ffn(built: Transformer) -> None:
    for name in ("gate", "up"):
        built.get_parameter(f"blocks.1.ffn.{name}.weight")[7] = float("nan")
    built.get_parameter("blocks.1.ffn.down.weight")[:, 7] = float("nan")


UNITS: dict[str, tuple[Callable[[Transformer], None], Callable[[Scores], torch.Tensor]]] = {
    "channel": (mark_hidden, lambda scores: scores.hidden_d[5]),
    "query head": (lambda built: mark_query(built, 3), lambda scores: scores.queries_lh[1, 3]),
    "key head": (mark_head, lambda scores: scores.heads_lk[1, 1]),
    "ffn channel": (mark_ffn, lambda scores: scores.ffn_lf[1, 7]),
}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("tied_head", [True, False])
def test_a_score_sums_the_weights_that_go_with_the_unit(unit: str, tied_head: bool) -> None:
    built = network(architecture(kv_heads=2, tied_head=tied_head, qk_norm=True))
    touches, of = UNITS[unit]
    weights = torch.cat(weights_of(built, touches)).double()
    assert of(l1(built)).item() == pytest.approx(weights.abs().sum().item())
    assert of(l2(built)).item() == pytest.approx(weights.square().sum().sqrt().item())


def test_any_worth_of_single_weights_is_summed() -> None:
    built = network(architecture())
    ones = {name: torch.ones_like(weight) for name, weight in built.named_parameters()}
    config = built.config
    counted = summed(built, ones)
    per_layer = 4 * 16 + 3 * 12 + 2
    assert counted.hidden_d.tolist() == [config.vocabulary_size + 1 + config.depth * per_layer] * 16
    assert counted.ffn_lf.unique().tolist() == [3 * 16]
