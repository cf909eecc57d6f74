"""Layer importance against networks that really have fewer layers, and its cost against what is computed."""

from collections.abc import Sequence

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from model.errors import InvalidInput
from model.transformer import Transformer
from tests.trainer.inheritance.networks import drawn, drawn_tokens, shape
from trainer.inheritance.calibration import CalibrationText
from trainer.inheritance.cost import importance_flops_per_token, variants
from trainer.inheritance.importance import bits_per_byte, layer_importance
from trainer.loss import IGNORED


def _text(rows: int = 3) -> CalibrationText:
    inputs_ns, targets_ns = drawn_tokens(rows), drawn_tokens(rows, seed=1)
    targets_ns[:, -2:] = IGNORED
    return CalibrationText(inputs_ns, targets_ns, text_bytes=100)


def _without(network: Transformer, layers: Sequence[int]) -> Transformer:
    copied = Transformer(network.config)
    copied.load_state_dict(network.state_dict())
    copied.blocks = nn.ModuleList(block for place, block in enumerate(copied.blocks) if place not in layers)
    return copied


@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_each_value_is_that_of_a_network_without_these_layers(depth: int) -> None:
    network, text = drawn(shape(depth=depth)), _text()
    importance = layer_importance(network, text, "float32")
    assert importance.bits_per_byte == pytest.approx(bits_per_byte(network, text, "float32"), rel=1e-6)
    assert [len(row) for row in importance.skipped] == [depth - n for n in range(min(3, depth - 1))]
    for count, first in variants(depth):
        expected = bits_per_byte(_without(network, range(first, first + count)), text, "float32")
        assert importance.skipped[count - 1][first] == pytest.approx(expected, rel=1e-6)


def test_the_counted_operations_are_those_that_are_computed() -> None:
    network, text = drawn(shape(depth=5), backend="matmul"), _text()
    with FlopCounterMode(display=False) as counter:
        layer_importance(network, text, "float32")
    assert counter.get_total_flops() == text.tokens * importance_flops_per_token(network.config)


def test_progress_ends_with_all_batches() -> None:
    told: list[tuple[int, int]] = []
    layer_importance(drawn(shape(depth=2)), _text(), "float32", lambda done, total: told.append((done, total)))
    assert told == [(1, 1)]


def test_a_loss_that_is_no_number_is_the_parents_fault() -> None:
    network = drawn(shape(depth=2))
    with torch.no_grad():
        network.norm.gain.fill_(float("nan"))
    with pytest.raises(InvalidInput, match=r"inherit\.parent: its loss on the corpus is nan"):
        layer_importance(network, _text(), "float32")
