"""How much each layer of a network is worth: its bits per byte with some consecutive layers left out (F4).

The paper skips one, two and three layers at every place of four networks (arXiv 2402.02791, F4); ShortGPT finds the
same redundancy in the middle (arXiv 2403.03853, section 3). Networks that skip layers from some place on share all that
comes before it, so that each batch passes through the first layers once.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from model.inheritance.layers import LayerImportance
from model.transformer import Transformer
from trainer.config import Precision
from trainer.inheritance.calibration import CalibrationText
from trainer.inheritance.cost import Place, variants
from trainer.loss import head_nats
from trainer.machine.precision import autocast


def layer_importance(
    network: Transformer,
    text: CalibrationText,
    precision: Precision,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> LayerImportance:
    """Measure a network on a text with 1, 2 and 3 consecutive layers left out, at every place.

    Args:
        network: on the device that computes.
        text: as tokens of the network's tokenizer.
        precision: ``float32`` or ``bfloat16``, of the products.
        progress: is told how many of how many batches are done.
    """
    device = network.head_vd.device
    places = variants(network.config.depth)
    nats: dict[Place | None, float] = dict.fromkeys([None, *places], 0.0)
    batches = text.batches(device)
    for done, (inputs_bs, targets_bs) in enumerate(batches, start=1):
        with torch.no_grad(), autocast(precision, device):
            for place, value in _nats(network, inputs_bs, targets_bs, places):
                nats[place] += value
        progress(done, len(batches))
    bits = {place: text.bits_per_byte(value) for place, value in nats.items()}
    counts = sorted({count for count, _ in places})
    skipped = tuple(tuple(bits[place] for place in places if place[0] == count) for count in counts)
    return LayerImportance(bits_per_byte=bits[None], skipped=skipped)


def bits_per_byte(network: Transformer, text: CalibrationText, precision: Precision) -> float:
    """Measure a whole network on a text."""
    device = network.head_vd.device
    nats = 0.0
    for inputs_bs, targets_bs in text.batches(device):
        with torch.no_grad(), autocast(precision, device):
            hidden_nd = network.hidden(inputs_bs).flatten(0, 1)
            nats += head_nats(hidden_nd[None], network.head_vd[None], targets_bs.flatten()[None]).item()
    return text.bits_per_byte(nats)


def _nats(
    network: Transformer, inputs_bs: Tensor, targets_bs: Tensor, places: list[Place]
) -> list[tuple[Place | None, float]]:
    """Summed cross-entropy of the whole network and of each variant."""
    length = inputs_bs.shape[1]
    cos_se, sin_se = network.cos_se[:length], network.sin_se[:length]
    x_bsd, mask = network.embedded(inputs_bs)

    def through(x_bsd: Tensor, first: int) -> Tensor:
        for block in network.blocks[first:]:
            x_bsd = block(x_bsd, cos_se, sin_se, mask)
        return x_bsd

    def loss(x_bsd: Tensor) -> float:
        hidden_nd = network.normed(x_bsd).flatten(0, 1)
        return head_nats(hidden_nd[None], network.head_vd[None], targets_bs.flatten()[None]).item()

    results: list[tuple[Place | None, float]] = []
    for start, block in enumerate(network.blocks):
        results += [(place, loss(through(x_bsd, start + place[0]))) for place in places if place[1] == start]
        x_bsd = block(x_bsd, cos_se, sin_se, mask)
    return [*results, (None, loss(x_bsd))]
