import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.attention import AttentionBackend
from model.config import ArchitectureConfig
from model.initialization import initialize
from model.tokenizer import END_OF_TEXT_ID
from model.transformer import RMSNorm, Transformer, rotate, rotations

CONFIG = ArchitectureConfig(
    vocabulary_size=61, depth=2, width=32, ffn_width=45, head_dim=8, kv_heads=2, sequence_length=24
)


def network(config: ArchitectureConfig = CONFIG, std: float = 0.2) -> Transformer:
    built = Transformer(config)
    initialize(built, "constant", std, seed=1)
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


def test_logits_do_not_see_the_future() -> None:
    built, before = network(), tokens()
    after = before.clone()
    after[:, 10] = (after[:, 10] + 1) % CONFIG.vocabulary_size
    changed = (built(before) - built(after)).abs().amax(dim=(0, 2))
    assert changed[:10].max() < 1e-6
    assert changed[10:].min() > 1e-4


def test_shorter_sequences_give_the_same_prefix() -> None:
    built = network()
    torch.testing.assert_close(built(tokens())[:, :7], built(tokens()[:, :7]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tied_head", [True, False])
def test_state_dict_holds_every_parameter_once_and_no_buffer(tied_head: bool) -> None:
    built = network(CONFIG.model_copy(update={"tied_head": tied_head}))
    assert list(built.state_dict()) == [name for name, _ in built.named_parameters()]
    assert len({weight.data_ptr() for weight in built.state_dict().values()}) == len(built.state_dict())
    assert ("head.weight" in built.state_dict()) is not tied_head


@pytest.mark.parametrize("cast", ["autocast", "whole network"])
def test_bfloat16_stays_near_float32(cast: str) -> None:
    built = network(std=0.05)
    exact = built(tokens())
    if cast == "autocast":
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = built(tokens())
    else:
        logits = built.to(torch.bfloat16)(tokens())
    assert logits.dtype == torch.bfloat16
    assert (logits.float() - exact).norm() < 0.02 * exact.norm()


@pytest.mark.parametrize("mask_documents", [False, True])
def test_backends_give_the_same_network(mask_documents: bool) -> None:
    config = CONFIG.model_copy(update={"mask_documents": mask_documents})
    by_matmul = Transformer(config, "matmul")
    by_matmul.load_state_dict(network().state_dict())
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


def test_it_learns_a_batch_by_heart() -> None:
    built, batch = network(std=0.02), tokens(2)
    optimizer = torch.optim.AdamW(built.parameters(), lr=0.01)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(built(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2
