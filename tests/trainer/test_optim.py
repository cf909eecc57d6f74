"""Groups of the optimizer, and the coordinate check of muP (arXiv 2203.03466, appendix D.1)."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from model.config import ArchitectureConfig, InitScheme
from model.initialization import initialize
from model.transformer import Transformer
from trainer.config import InitializationConfig, OptimizationConfig
from trainer.optim import make_optimizer, set_learning_rate

WIDTHS = (64, 256)
STEPS = 3
OPTIMIZATION = OptimizationConfig(learning_rate=0.01, weight_decay=0.1)


def network(width: int, base_width: int | None, **options: Any) -> Transformer:
    config = ArchitectureConfig(
        vocabulary_size=64,
        depth=2,
        width=width,
        ffn_width=2 * width,
        head_dim=16,
        sequence_length=16,
        mup_base_width=base_width,
        **options,
    )
    built = Transformer(config, "matmul")
    scheme: InitScheme = "constant" if base_width is None else "mup"
    initialize(built, scheme, InitializationConfig().std_at(config.base_width), seed=0)
    return built


def hidden_sizes(built: Transformer) -> dict[str, float]:
    """Root mean square, after a few steps, of what the steps changed in each layer's output and in its parts."""
    optimizer = make_optimizer(built, OPTIMIZATION)
    batch = torch.randint(64, (8, 17), generator=torch.Generator().manual_seed(1))
    outputs: dict[str, list[torch.Tensor]] = {}
    for name, module in built.named_modules():
        if name.count(".") == 1 or name.endswith((".attention", ".ffn", ".query", ".shortcut")):
            module.register_forward_hook(
                lambda _, __, out, name=name: outputs.setdefault(name, []).append(out.detach())
            )
    for _ in range(STEPS + 1):
        loss = F.cross_entropy(built(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {name: float((seen[-1] - seen[0]).square().mean().sqrt()) for name, seen in outputs.items()}


@pytest.mark.parametrize(
    "options",
    [{}, {"tied_head": False}, {"block": "pangu_pi", "qk_norm": True}],
    ids=["llama", "untied", "pangu_pi with qk_norm"],
)
def test_changes_keep_their_size_over_width_under_mup_and_grow_under_the_standard(options: dict[str, Any]) -> None:
    growth = {}
    for kind, base_width in (("mup", 64), ("standard", None)):
        narrow, wide = (hidden_sizes(network(width, base_width, **options)) for width in WIDTHS)
        growth[kind] = {name: wide[name] / narrow[name] for name in narrow}
    assert all(0.75 < factor < 1.25 for factor in growth["mup"].values()), growth["mup"]
    streams = [factor for name, factor in growth["standard"].items() if name.count(".") == 1]
    assert min(streams) > 1.7, growth["standard"]


def test_a_standard_network_has_two_groups_of_one_rate() -> None:
    built = network(64, None, block="pangu_pi", qk_norm=True)
    optimizer = make_optimizer(built, OPTIMIZATION)
    decayed, free = optimizer.param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    vectors = {id(p) for name, p in built.named_parameters() if not name.endswith("weight")}
    assert {id(p) for p in free["params"]} == vectors
    set_learning_rate(optimizer, 0.5)
    assert decayed["lr"] == free["lr"] == 0.5


def test_mup_gives_matrices_the_rate_of_their_width_and_the_same_decay_a_step() -> None:
    built = network(256, 64, tied_head=False)
    optimizer = make_optimizer(built, OPTIMIZATION)
    set_learning_rate(optimizer, 0.5)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    decays = {id(p): group["lr"] * group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in built.named_parameters():
        matrix = name.endswith("weight") and name not in ("embedding.weight", "head.weight")
        assert rates[id(parameter)] == (0.125 if matrix else 0.5), name
        assert decays[id(parameter)] == pytest.approx(0.05 if name.endswith("weight") else 0.0), name


def test_every_parameter_is_in_one_group() -> None:
    built = network(256, 64, block="pangu_pi", qk_norm=True)
    grouped = [id(p) for group in make_optimizer(built, OPTIMIZATION).param_groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in built.parameters())
