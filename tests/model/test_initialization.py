import math

import pytest
import torch

from model.config import ArchitectureConfig, InitScheme
from model.initialization import RESIDUAL_STD, initialize
from model.transformer import Transformer

CONFIG = ArchitectureConfig(vocabulary_size=300, depth=8, width=64, ffn_width=170, tied_head=False)
RESIDUAL = ("attention.output.weight", "ffn.down.weight")


def weights(scheme: InitScheme, seed: int = 0, std: float = 0.05) -> dict[str, torch.Tensor]:
    network = Transformer(CONFIG)
    initialize(network, scheme, std, seed)
    return dict(network.state_dict())


@pytest.mark.parametrize("scheme", RESIDUAL_STD)
def test_weights_have_the_deviation_of_the_scheme(scheme: InitScheme) -> None:
    for name, weight in weights(scheme).items():
        if name.endswith("gain"):
            assert (weight == 1).all()
            continue
        scaled = scheme == "gpt2" and name.endswith(RESIDUAL)
        expected = 0.05 / math.sqrt(16) if scaled else 0.05
        assert weight.std().item() == pytest.approx(expected, rel=0.05), name
        assert abs(weight.mean().item()) < 0.05 * expected + 4 * expected / math.sqrt(weight.numel()), name


def test_schemes_share_their_draws() -> None:
    constant, gpt2 = weights("constant"), weights("gpt2")
    for name, weight in constant.items():
        torch.testing.assert_close(gpt2[name], weight / 4 if name.endswith(RESIDUAL) else weight)


def test_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = weights("gpt2", seed=7)
    torch.manual_seed(2)
    torch.randn(100)
    again = weights("gpt2", seed=7)
    other = weights("gpt2", seed=8)
    for name, weight in first.items():
        assert torch.equal(weight, again[name])
        assert name.endswith("gain") or not torch.equal(weight, other[name])


def test_the_global_generator_is_left_alone() -> None:
    network = Transformer(CONFIG)
    state = torch.get_rng_state()
    initialize(network, "constant", 0.02, seed=0)
    assert torch.equal(torch.get_rng_state(), state)
