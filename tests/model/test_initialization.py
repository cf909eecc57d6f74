import math
from collections.abc import Callable

import pytest
import torch

from model.config import ArchitectureConfig, InitScheme
from model.initialization import RESIDUAL_STD, initialize
from model.transformer import Transformer

CONFIG = ArchitectureConfig(vocabulary_size=300, depth=8, width=64, ffn_width=170, tied_head=False)
RESIDUAL = ("attention.output.weight", "shortcut.restore.weight", "ffn.down.weight")
RESIDUAL_LAYERS: dict[InitScheme, Callable[[int], int]] = {
    "constant": lambda layer: 1,
    "gpt2": lambda layer: 16,
    "internlm": lambda layer: 2 * layer + 2,
    "mup": lambda layer: 1,
}


def weights(
    scheme: InitScheme, seed: int = 0, std: float = 0.05, config: ArchitectureConfig = CONFIG
) -> dict[str, torch.Tensor]:
    network = Transformer(config)
    initialize(network, scheme, std, seed)
    return dict(network.state_dict())


@pytest.mark.parametrize("scheme", RESIDUAL_STD)
def test_weights_have_the_deviation_of_the_scheme(scheme: InitScheme) -> None:
    for name, weight in weights(scheme).items():
        if name.endswith("gain"):
            assert (weight == 1).all()
            continue
        scaled = name.endswith(RESIDUAL)
        expected = 0.05 / math.sqrt(RESIDUAL_LAYERS[scheme](int(name.split(".")[1]))) if scaled else 0.05
        assert weight.std().item() == pytest.approx(expected, rel=0.05), name
        assert abs(weight.mean().item()) < 0.05 * expected + 4 * expected / math.sqrt(weight.numel()), name


def test_mup_shrinks_matrices_with_the_width_and_keeps_tables() -> None:
    wide = CONFIG.model_copy(update={"mup_base_width": CONFIG.width // 4})
    constant, mup = weights("constant"), weights("mup", config=wide)
    for name, weight in constant.items():
        matrix = name.endswith("weight") and name not in ("embedding.weight", "head.weight")
        torch.testing.assert_close(mup[name], weight / 2 if matrix else weight)


def test_a_pangu_pi_network_starts_with_the_plain_activation() -> None:
    config = CONFIG.model_copy(update={"block": "pangu_pi", "qk_norm": True})
    start, constant = weights("gpt2", config=config), weights("constant", config=config)
    scale, shift = start["blocks.3.ffn.series.scale"], start["blocks.3.ffn.series.shift"]
    assert (scale == torch.tensor([[1.0], [0.0]])).all()
    assert (shift == 0).all()
    assert (start["blocks.3.attention.query_norm.gain"] == 1).all()
    for name, residual in (("restore", 4), ("reduce", 1)):
        name = f"blocks.3.shortcut.{name}.weight"
        torch.testing.assert_close(start[name], constant[name] / residual)


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
