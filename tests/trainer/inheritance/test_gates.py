"""A gated parent against the network that is really pruned so, and gradients of gates against finite differences."""

import pytest
import torch

from model.config import ArchitectureConfig
from model.inheritance import scores
from model.inheritance.copying import inherit_weights
from model.inheritance.selection import select
from model.inheritance.units import Selection
from model.inheritance.vocabulary import TokenMap
from model.transformer import Transformer
from tests.trainer.inheritance.networks import SEQUENCE_LENGTH, VOCABULARY_SIZE, drawn, drawn_tokens, shape
from trainer.config import Precision
from trainer.inheritance.calibration import CalibrationText
from trainer.inheritance.cost import MICRO_BATCH_TOKENS
from trainer.inheritance.gates import GatedParent, Gates
from trainer.inheritance.mask import learned_mask, straight_through
from trainer.inheritance.taylor import WINDOWS, taylor_scores
from trainer.loss import IGNORED, head_loss
from trainer.machine.memory_estimate import CUDA_ALLOCATOR_SHARE, estimate_inheritance
from trainer.text.data import PreparedData

LAYERS = (0, 2)
SAME_TOKENS = TokenMap(tuple(range(VOCABULARY_SIZE)), {})
STUDENTS = {
    "smaller": {"depth": 2, "width": 32, "ffn_width": 40, "kv_heads": 2},
    "fewer queries to a key": {"depth": 2, "width": 24, "ffn_width": 64, "kv_heads": 3},
    "tied and another epsilon": {
        "depth": 2,
        "width": 32,
        "ffn_width": 40,
        "kv_heads": 2,
        "tied_head": True,
        "norm_eps": 0.1,
    },
    "only narrower inside": {"depth": 2, "ffn_width": 16},
}


def _loss(network: Transformer, tokens_bs: torch.Tensor) -> float:
    hidden_nd = network.hidden(tokens_bs).flatten(0, 1)
    loss_m, _ = head_loss(hidden_nd[None], network.head_vd[None], tokens_bs.flatten()[None])
    return loss_m.item()


def _opened(selection: Selection, parent: ArchitectureConfig) -> Gates:
    gates = Gates.of(torch.zeros_like(gate) for gate in Gates.ones(parent, 2, torch.device("cpu")).tensors())
    gates.hidden_d[list(selection.hidden)] = 1
    for values_ln, kept in (
        (gates.heads_lk, selection.heads),
        (gates.queries_lh, selection.queries),
        (gates.ffn_lf, selection.ffn),
    ):
        for layer, units in enumerate(kept):
            values_ln[layer, list(units)] = 1
    return gates


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize(("qk_norm", "tied_head"), [(False, True), (True, True), (False, False)])
def test_gates_of_0_and_1_compute_the_pruned_network(name: str, qk_norm: bool, tied_head: bool) -> None:
    parent = drawn(shape(qk_norm=qk_norm, tied_head=tied_head))
    student = shape(**STUDENTS[name], qk_norm=qk_norm)
    selection = select(scores.random(parent, seed=5), parent.config, student, LAYERS)
    pruned = Transformer(student).requires_grad_(False)
    inherit_weights(pruned, parent, selection, SAME_TOKENS)
    gated = GatedParent(parent, LAYERS, student, student.width)
    tokens_bs = drawn_tokens(2)
    loss = gated.loss(_opened(selection, parent.config), tokens_bs, tokens_bs, "float32").item()
    assert loss == pytest.approx(_loss(pruned, tokens_bs), rel=2e-6)


def test_the_mask_opens_what_would_be_selected() -> None:
    parent, student = drawn(shape()), shape(**STUDENTS["fewer queries to a key"])
    gated = GatedParent(parent, LAYERS, student, student.width)
    drawn_scores = scores.random(parent, seed=2)
    kept = list(LAYERS)
    own = Gates(
        drawn_scores.hidden_d, drawn_scores.heads_lk[kept], drawn_scores.queries_lh[kept], drawn_scores.ffn_lf[kept]
    )
    opened = straight_through(own, parent.config, student)
    selection = select(gated.scores(own), parent.config, student, LAYERS)
    expected = _opened(selection, parent.config)
    assert torch.equal(opened.hidden_d, expected.hidden_d)
    assert torch.equal(opened.ffn_lf, expected.ffn_lf)
    group = parent.config.heads // parent.config.kv_heads
    both = opened.queries_lh * opened.heads_lk.repeat_interleave(group, dim=1)
    assert torch.equal(both, expected.queries_lh)


def test_taylor_scores_are_the_slopes_of_the_loss_at_each_gate() -> None:
    parent, student = drawn(shape(ffn_width=8)), shape(depth=2, ffn_width=8)
    text = CalibrationText(drawn_tokens(3), drawn_tokens(3), 100)
    gated = GatedParent(parent, LAYERS, student)
    scored = taylor_scores(gated, text, "float32")
    step = 1e-2
    for name, place in (("hidden_d", (5,)), ("heads_lk", (1, 2)), ("queries_lh", (0, 3)), ("ffn_lf", (1, 6))):
        losses = []
        for change in (step, -step):
            gates = Gates.ones(parent.config, 2, torch.device("cpu"))
            getattr(gates, name)[place] += change
            losses.append(gated.loss(gates, text.inputs_ns, text.targets_ns, "float32").item())
        slope = abs(losses[0] - losses[1]) / (2 * step)
        in_parent = place if len(place) == 1 else (LAYERS[place[0]], place[1])
        assert getattr(scored, name)[in_parent].item() == pytest.approx(slope, rel=0.05, abs=1e-4)


def test_layers_that_are_not_kept_have_no_scores() -> None:
    parent = drawn(shape())
    scored = taylor_scores(GatedParent(parent, LAYERS, shape(depth=2)), _text(), "float32")
    assert not scored.ffn_lf[[1, 3]].any()
    assert scored.ffn_lf[list(LAYERS)].all()


@pytest.mark.parametrize("method", ["taylor", "mask"])
def test_what_is_not_predicted_has_no_part_in_scores(method: str) -> None:
    parent, student = drawn(shape()), shape(**STUDENTS["smaller"])
    gated = GatedParent(parent, LAYERS, student, student.width)

    def scored(padding: int) -> torch.Tensor:
        inputs_ns, targets_ns = drawn_tokens(6), drawn_tokens(6, seed=1)
        inputs_ns[-1, 9:], targets_ns[-1, 9:], targets_ns[0, 4] = padding, IGNORED, IGNORED
        text = CalibrationText(inputs_ns, targets_ns, 100)
        if method == "taylor":
            return taylor_scores(gated, text, "float32").ffn_lf
        return learned_mask(gated, student, text, 1, 0, "float32").ffn_lf

    assert torch.allclose(scored(7), scored(123), rtol=1e-5)


def test_groups_of_long_windows_are_no_larger_than_what_the_memory_is_predicted_for() -> None:
    ids_ns = torch.ones(5, MICRO_BATCH_TOKENS // 2, dtype=torch.long)
    text = CalibrationText(ids_ns, ids_ns, 100)
    cpu = torch.device("cpu")
    assert [len(inputs_bs) for inputs_bs, _ in text.batches(cpu, WINDOWS)] == [2, 2, 1]
    assert [len(inputs_bs) for inputs_bs, _ in _text().batches(cpu, WINDOWS)] == [4, 2]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_gates_keep_of_the_weights_is_predicted(precision: Precision) -> None:
    """Few tokens, so that nearly all is weights; a student of next to nothing."""
    config = shape(width=256, ffn_width=1024, kv_heads=32)
    parent, student = drawn(config), shape(depth=1, width=8, ffn_width=8, kv_heads=1)
    gated, gates = GatedParent(parent, range(4), student, 8), Gates.ones(config, 4, torch.device("cpu"))
    for gate in gates.tensors():
        gate.requires_grad_()
    held = [weight.untyped_storage() for weight in parent.parameters()]
    sizes = {storage.data_ptr(): storage.nbytes() for storage in held}

    def seen(tensor: torch.Tensor) -> torch.Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    tokens_bs = drawn_tokens(1)[:, :4]
    with torch.autograd.graph.saved_tensors_hooks(seen, lambda tensor: tensor):
        loss = gated.loss(gates, tokens_bs, tokens_bs, precision)
    assert loss.requires_grad
    predicted = estimate_inheritance(config, student, tokens_bs.numel(), precision, "cuda") / CUDA_ALLOCATOR_SHARE
    assert sum(sizes.values()) <= predicted <= 1.25 * sum(sizes.values())


def test_a_mask_depends_on_its_seed_alone() -> None:
    parent, student = drawn(shape()), shape(**STUDENTS["smaller"])
    gated = GatedParent(parent, LAYERS, student, student.width)

    def trained(seed: int) -> torch.Tensor:
        torch.manual_seed(seed + 7)  # not read
        return learned_mask(gated, student, _text(), 3, seed, "float32").ffn_lf

    assert torch.equal(trained(0), trained(0))
    assert not torch.equal(trained(0), trained(1))


def test_training_a_mask_opens_units_that_predict_the_text_better(
    parent_network: Transformer, data: PreparedData
) -> None:
    student = shape(**STUDENTS["smaller"])
    gated = GatedParent(parent_network, LAYERS, student, student.width)
    windows_ns = torch.from_numpy(data.train[: 32 * (SEQUENCE_LENGTH + 1)].astype("int64")).view(32, -1)
    inputs_ns, targets_ns = windows_ns[:, :-1], windows_ns[:, 1:]
    text = CalibrationText(inputs_ns, targets_ns, 100)

    def loss_after(steps: int, seed: int) -> float:
        mask = learned_mask(gated, student, text, steps, seed, "float32")
        selection = select(mask, parent_network.config, student, LAYERS)
        with torch.no_grad():
            return gated.loss(_opened(selection, parent_network.config), inputs_ns, targets_ns, "float32").item()

    gains = [loss_after(0, seed) - loss_after(40, seed) for seed in range(3)]
    assert min(gains) > 0.02, gains


def _text() -> CalibrationText:
    return CalibrationText(drawn_tokens(6), drawn_tokens(6), 100)
