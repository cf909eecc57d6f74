import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import functional_call, stack_module_state, vmap

from model.attention import AttentionBackend
from model.config import ArchitectureConfig
from model.initialization import initialize
from model.norm import RMSNorm
from model.tokenizer import END_OF_TEXT_ID
from model.transformer import Block, SeriesActivation, Transformer, attention_scale, rotate, rotations

CONFIG = ArchitectureConfig(
    vocabulary_size=61, depth=2, width=32, ffn_width=45, head_dim=8, kv_heads=2, sequence_length=24
)
PANGU_PI = CONFIG.model_copy(update={"block": "pangu_pi"})
NORMED = PANGU_PI.model_copy(update={"qk_norm": True})
MUP = NORMED.model_copy(update={"mup_base_width": 8, "tied_head": False})
each_config = pytest.mark.parametrize(
    "config", [CONFIG, NORMED, MUP], ids=["llama", "pangu_pi with qk_norm", "mup, untied"]
)


def network(config: ArchitectureConfig = CONFIG, std: float = 0.2) -> Transformer:
    built = Transformer(config)
    initialize(built, "constant", std, seed=1)
    return stirred(built)


def stirred(built: Transformer, seed: int = 3) -> Transformer:
    """The network with every vector away from its start, so that none is without effect."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in built.named_parameters():
        if not name.endswith("weight"):
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return built


def tokens(batch: int = 3) -> torch.Tensor:
    return torch.randint(CONFIG.vocabulary_size, (batch, 24), generator=torch.Generator().manual_seed(2))


def test_rmsnorm_accumulates_in_float32() -> None:
    norm = RMSNorm(4096, eps=1e-5).to(torch.bfloat16)
    x = (100 + torch.randn(1, 3, 4096, generator=torch.Generator().manual_seed(0))).to(torch.bfloat16)
    exact = x.double() / (x.double().square().mean(-1, keepdim=True) + 1e-5).sqrt()
    assert norm(x).dtype == torch.bfloat16
    torch.testing.assert_close(norm(x), exact.to(torch.bfloat16), atol=0, rtol=0.004)  # one bfloat16 rounding
    float32 = RMSNorm(4096, eps=1e-5)(x.float())
    torch.testing.assert_close(float32.double(), exact, atol=1e-6, rtol=1e-6)


def test_rmsnorm_has_the_gradient_of_its_formula() -> None:
    norm = RMSNorm(6, eps=0.1)
    torch.nn.init.uniform_(norm.gain, 0.5, 1.5)
    x = torch.randn(2, 3, 6, requires_grad=True)
    (by_module,) = torch.autograd.grad(norm(x).square().sum(), x)
    by_hand_output = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 0.1) * norm.gain
    (by_hand,) = torch.autograd.grad(by_hand_output.square().sum(), x)
    torch.testing.assert_close(by_module, by_hand)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_rotated_products_depend_on_the_distance_alone(first: int, second: int, shift: int) -> None:
    cos, sin = rotations(64, 8, 10_000.0)
    query, key = torch.randn(2, 1, 1, 1, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def product(m: int, n: int) -> float:
        rotated_query, rotated_key = rotate(query, cos[[m]], sin[[m]]), rotate(key, cos[[n]], sin[[n]])
        return float((rotated_query * rotated_key).sum())

    assert product(first + shift, second + shift) == pytest.approx(product(first, second), abs=1e-4)


def test_rotation_turns_each_pair_by_its_angle() -> None:
    cos, sin = rotations(5, 4, theta=100.0)
    x = torch.tensor([1.0, 0.0, 0.0, 1.0]).view(1, 1, 1, 4)
    angles = torch.tensor([4 * 1.0, 4 * 0.1])  # position 4 times 100^(-2i/4)
    expected = torch.tensor([angles[0].cos(), -angles[1].sin(), angles[0].sin(), angles[1].cos()])
    torch.testing.assert_close(rotate(x, cos[4:], sin[4:]).flatten(), expected)


@each_config
def test_logits_do_not_see_the_future(config: ArchitectureConfig) -> None:
    built, before = network(config), tokens()
    after = before.clone()
    after[:, 10] = (after[:, 10] + 1) % CONFIG.vocabulary_size
    changed = (built(before) - built(after)).abs().amax(dim=(0, 2))
    assert changed[:10].max() < 1e-6
    assert changed[10:].min() > 1e-4


@each_config
def test_logits_are_products_of_the_hidden_states_with_the_head(config: ArchitectureConfig) -> None:
    built = network(config)
    torch.testing.assert_close(built(tokens()), built.hidden(tokens()) @ built.head_vd.T)
    normed = RMSNorm(config.width, config.norm_eps)
    normed.load_state_dict(built.norm.state_dict())
    x = built.embedding(tokens())
    for block in built.blocks:
        x = block(x, built.cos_se, built.sin_se)
    torch.testing.assert_close(built.hidden(tokens()), normed(x) / config.width_multiplier)


@each_config
@pytest.mark.parametrize("backend", ["matmul", "sdpa"])
@pytest.mark.filterwarnings("ignore:There is a performance drop")  # sdpa on a CPU has no batching rule
def test_stacked_networks_give_the_logits_of_each(config: ArchitectureConfig, backend: AttentionBackend) -> None:
    members = [Transformer(config, backend) for _ in range(3)]
    for seed, member in enumerate(members):
        initialize(member, "constant", 0.2, seed)
        stirred(member, seed)
    stacked, _ = stack_module_state(members)  # type: ignore[arg-type]

    def logits(parameters: dict[str, torch.Tensor], batch: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = functional_call(members[0], parameters, (batch,))
        return result

    batches = torch.stack([tokens().roll(shift, 0) for shift in range(3)])
    together = vmap(logits)(stacked, batches)
    for member, batch, own in zip(members, batches, together, strict=True):
        torch.testing.assert_close(own, member(batch), atol=1e-5, rtol=1e-5)
    together.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in stacked.values())


def test_a_pangu_pi_layer_is_the_papers_sum() -> None:
    """AugMSA(Z) = MSA(Z) + Z + T(Z), and Σ silu(a x + b) for the activation, written out."""
    layer = network(PANGU_PI).blocks[1]
    assert isinstance(layer, Block)
    assert layer.shortcut is not None
    assert isinstance(layer.ffn.series, SeriesActivation)
    cos, sin = rotations(24, 8, 10_000.0)
    z = torch.randn(2, 24, 32, generator=torch.Generator().manual_seed(7))
    h = layer.attention_norm(z)
    bottleneck = torch.nn.functional.gelu(h @ layer.shortcut.reduce.weight.T)
    assert bottleneck.shape[-1] == 1  # 32 / 32
    attended = layer.attention(h, cos, sin) + z + bottleneck @ layer.shortcut.restore.weight.T
    h = layer.ffn_norm(attended)
    x = h @ layer.ffn.gate.weight.T
    a, b = layer.ffn.series.scale, layer.ffn.series.shift
    activated = sum(y * torch.sigmoid(y) for y in (a[0] * x + b[0], a[1] * x + b[1]))
    expected = attended + (activated * (h @ layer.ffn.up.weight.T)) @ layer.ffn.down.weight.T
    torch.testing.assert_close(layer(z, cos, sin), expected, atol=1e-5, rtol=1e-5)


def test_a_pangu_pi_network_without_its_additions_is_a_llama_network() -> None:
    plain, pangu = network(), Transformer(PANGU_PI)
    initialize(pangu, "constant", 0.2, seed=1)
    assert not pangu.load_state_dict(plain.state_dict(), strict=False).unexpected_keys
    for block in pangu.blocks:
        torch.nn.init.zeros_(block.shortcut.restore.weight)  # type: ignore[union-attr, arg-type]
    torch.testing.assert_close(pangu(tokens()), plain(tokens()))


def test_every_activation_of_a_series_learns_its_own_way() -> None:
    built, batch = Transformer(PANGU_PI), tokens(2)
    initialize(built, "constant", 0.2, seed=1)
    optimizer = torch.optim.AdamW(built.parameters(), lr=0.01)
    for _ in range(3):
        torch.nn.functional.cross_entropy(built(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
    first, second = built.state_dict()["blocks.0.ffn.series.scale"]
    assert (first - 1).abs().mean() > 0.005
    assert second.abs().mean() > 0.005
    assert (first - 1 - second).abs().mean() > 0.001


def test_normed_queries_and_keys_do_not_follow_the_size_of_their_weights() -> None:
    config = CONFIG.model_copy(update={"qk_norm": True, "norm_eps": 1e-12})
    built = network(config)
    before = built(tokens())
    for block in built.blocks:
        block.attention.query.weight.data *= 5  # type: ignore[union-attr, operator]
        block.attention.key.weight.data *= 0.3  # type: ignore[union-attr, operator]
    torch.testing.assert_close(built(tokens()), before, atol=1e-4, rtol=1e-4)


def test_mup_at_its_base_width_and_head_is_the_standard_network() -> None:
    shape = {"vocabulary_size": 61, "depth": 2, "width": 64, "ffn_width": 45, "sequence_length": 24}
    built = [Transformer(ArchitectureConfig(**shape, mup_base_width=base)) for base in (None, 64)]
    initialize(built[0], "constant", 0.2, seed=1)
    initialize(built[1], "mup", 0.2, seed=1)
    torch.testing.assert_close(built[0](tokens()), built[1](tokens()))


@pytest.mark.parametrize("head_dim", [8, 32, 64])
def test_mup_divides_scores_by_the_head_width(head_dim: int) -> None:
    config = CONFIG.model_copy(update={"head_dim": head_dim, "mup_base_width": 64})
    assert attention_scale(config) == pytest.approx(32**0.5 / head_dim)
    assert attention_scale(CONFIG) is None


@each_config
def test_shorter_sequences_give_the_same_prefix(config: ArchitectureConfig) -> None:
    built = network(config)
    torch.testing.assert_close(built(tokens())[:, :7], built(tokens()[:, :7]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tied_head", [True, False])
def test_state_dict_holds_every_parameter_once_and_no_buffer(tied_head: bool) -> None:
    built = network(CONFIG.model_copy(update={"tied_head": tied_head}))
    assert list(built.state_dict()) == [name for name, _ in built.named_parameters()]
    assert len({weight.data_ptr() for weight in built.state_dict().values()}) == len(built.state_dict())
    assert ("head.weight" in built.state_dict()) is not tied_head


@each_config
@pytest.mark.parametrize("cast", ["autocast", "whole network"])
def test_bfloat16_stays_near_float32(cast: str, config: ArchitectureConfig) -> None:
    built = network(config, std=0.05)
    exact = built(tokens())
    if cast == "autocast":
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = built(tokens())
    else:
        logits = built.to(torch.bfloat16)(tokens())
    assert logits.dtype == torch.bfloat16
    assert (logits.float() - exact).norm() < 0.02 * exact.norm()


@each_config
@pytest.mark.parametrize("mask_documents", [False, True])
def test_backends_give_the_same_network(mask_documents: bool, config: ArchitectureConfig) -> None:
    config = config.model_copy(update={"mask_documents": mask_documents})
    by_matmul = Transformer(config, "matmul")
    by_matmul.load_state_dict(network(config).state_dict())
    torch.testing.assert_close(by_matmul(packed()), network(config)(packed()), atol=1e-5, rtol=1e-5)


def packed() -> torch.Tensor:
    """Sequences that hold the end of a document, a whole one (positions 5 to 13) and the beginning of a third."""
    batch = tokens().clamp(min=1)
    batch[:, [5, 14]] = END_OF_TEXT_ID
    return batch


MASKED = CONFIG.model_copy(update={"mask_documents": True})


def test_masked_logits_do_not_see_another_document() -> None:
    built, before = network(MASKED), packed()
    after = before.clone()
    after[:, 3] = 1 + before[:, 3] % 60
    changed = (built(before) - built(after)).abs().amax(dim=(0, 2))
    assert changed[3:5].min() > 1e-4
    assert changed[5:].max() < 1e-6
    whole_past = network()
    assert (whole_past(before) - whole_past(after)).abs().amax(dim=(0, 2))[5:].min() > 1e-4


def test_a_masked_document_has_the_same_logits_wherever_it_lies() -> None:
    built = network(MASKED)
    for document in (slice(0, 5), slice(5, 14), slice(14, 24)):
        alone = network()(packed()[:, document])
        torch.testing.assert_close(built(packed())[:, document], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("backend", ["sdpa", "matmul"])
def test_stacked_masked_networks_equal_each_alone(backend: AttentionBackend) -> None:
    built = [Transformer(MASKED, backend) for _ in range(2)]
    for seed, one in enumerate(built):
        initialize(one, "constant", 0.2, seed)
    batches = torch.stack([packed(), packed().roll(2, dims=1)])
    parameters, _ = torch.func.stack_module_state(built)  # type: ignore[arg-type]

    def logits(one: dict[str, torch.Tensor], batch: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.func.functional_call(built[0], one, (batch,))
        return result

    alone = torch.stack([one(batch) for one, batch in zip(built, batches, strict=True)])
    torch.testing.assert_close(torch.func.vmap(logits)(parameters, batches), alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("config", [CONFIG, NORMED], ids=["llama", "pangu_pi with qk_norm"])
def test_it_learns_a_batch_by_heart(config: ArchitectureConfig) -> None:
    built, batch = network(config, std=0.02), tokens(2)
    optimizer = torch.optim.AdamW(built.parameters(), lr=0.01)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(built(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2
