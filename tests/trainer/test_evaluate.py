import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.config import ArchitectureConfig
from model.initialization import initialize
from model.tokenizer import END_OF_TEXT_ID
from model.transformer import Transformer
from trainer.config import JsonlCorpus
from trainer.evaluate import Evaluator, windows
from trainer.loss import IGNORED
from trainer.parallel.world import alone
from trainer.text.data import PreparedData, prepare


def summed_nats(network: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """What a program of one network says, from the network's logits."""

    def nats(inputs_bs: Tensor, targets_bs: Tensor) -> Tensor:
        logits_nv = network(inputs_bs).flatten(0, 1).double()
        return F.cross_entropy(logits_nv, targets_bs.flatten(), ignore_index=IGNORED, reduction="sum")[None]

    return nats


class Uniform(nn.Module):
    """Gives every token the same probability."""

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size

    def forward(self, tokens_bs: Tensor) -> Tensor:
        return torch.zeros(*tokens_bs.shape, self.vocabulary_size)


@pytest.mark.parametrize("vocabulary_size", [257, 300, 512])
@pytest.mark.parametrize("sequence_length", [7, 32])
def test_a_uniform_model_has_exactly_log2_v_bits_a_token(
    corpus: JsonlCorpus, storage: Path, vocabulary_size: int, sequence_length: int
) -> None:
    data = prepare(corpus, vocabulary_size, 10_000, storage)
    tokens = int((data.validation != END_OF_TEXT_ID).sum())
    nats = summed_nats(Uniform(vocabulary_size))
    (evaluation,) = Evaluator(data, sequence_length, 5, alone()).evaluate(nats, "float32")
    assert evaluation.validation_loss == pytest.approx(math.log(vocabulary_size), rel=1e-6)
    assert evaluation.bits_per_byte == pytest.approx(math.log2(vocabulary_size) * tokens / 10_000, rel=1e-6)


@pytest.mark.parametrize("sequence_length", [7, 32, 100_000])
def test_every_byte_is_predicted_once_from_what_precedes_it(data: PreparedData, sequence_length: int) -> None:
    inputs_ns, targets_ns = windows(data, sequence_length)
    predicted = targets_ns != IGNORED
    assert data.token_bytes[targets_ns[predicted]].sum() == 10_000
    text = torch.from_numpy(data.validation.astype("int64"))
    assert torch.equal(targets_ns[predicted], text[text != END_OF_TEXT_ID])
    assert torch.equal(inputs_ns.flatten()[: len(text) - 1], text[:-1])


def test_the_sum_does_not_depend_on_the_batch(data: PreparedData) -> None:
    architecture = ArchitectureConfig(
        vocabulary_size=300, depth=1, width=32, ffn_width=32, head_dim=16, kv_heads=2, sequence_length=32
    )
    network = Transformer(architecture, "sdpa")
    initialize(network, "constant", 0.2, 0)
    one, many = (Evaluator(data, 32, batch, alone()).evaluate(summed_nats(network), "float32")[0] for batch in (1, 50))
    assert one.bits_per_byte == pytest.approx(many.bits_per_byte, rel=1e-5)
    inputs_ns, targets_ns = windows(data, 32)
    with torch.no_grad():
        loss = F.cross_entropy(network(inputs_ns).flatten(0, 1).double(), targets_ns.flatten(), ignore_index=IGNORED)
    assert many.validation_loss == pytest.approx(loss.item(), rel=1e-5)
    bits = loss.item() * int((targets_ns != IGNORED).sum()) / math.log(2)
    assert many.bits_per_byte == pytest.approx(bits / 10_000, rel=1e-5)


def test_masked_documents_are_evaluated_as_if_alone(data: PreparedData) -> None:
    architecture = ArchitectureConfig(
        vocabulary_size=300, depth=2, width=32, ffn_width=32, head_dim=16, kv_heads=2, sequence_length=512
    )
    plain = Transformer(architecture)
    initialize(plain, "constant", 0.2, 0)
    masked = Transformer(architecture.model_copy(update={"mask_documents": True}))
    masked.load_state_dict(plain.state_dict())
    inputs_ns, targets_ns = windows(data, 512)
    nats = 0.0
    for inputs_s, targets_s in zip(inputs_ns, targets_ns, strict=True):
        begins = torch.cat([torch.tensor([True]), inputs_s[1:] == END_OF_TEXT_ID])
        lengths = [*begins.nonzero().flatten().diff().tolist(), 512 - int(begins.nonzero()[-1])]
        for document, targets in zip(inputs_s.split(lengths), targets_s.split(lengths), strict=True):
            with torch.no_grad():
                logits = plain(document[None])[0].double()
            nats += F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum").item()
    found, unmasked = (
        Evaluator(data, 512, 4, alone()).evaluate(summed_nats(one), "float32")[0] for one in (masked, plain)
    )
    assert found.bits_per_byte == pytest.approx(nats / math.log(2) / 10_000, rel=1e-5)
    assert found.bits_per_byte != pytest.approx(unmasked.bits_per_byte, rel=1e-5)
