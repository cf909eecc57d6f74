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
from tests.trainer.inheritance.networks import VOCABULARY_SIZE, drawn, drawn_tokens, shape
from trainer.inheritance.calibration import CalibrationText
from trainer.inheritance.gates import GatedParent, Gates
from trainer.inheritance.mask import learned_mask, straight_through
from trainer.inheritance.taylor import taylor_scores
from trainer.loss import head_loss

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
    hidden_nd = network.hidden(tokens_bs[:, :-1]).flatten(0, 1)
    loss_m, _ = head_loss(hidden_nd[None], network.head_vd[None], tokens_bs[None, :, 1:].flatten(1))
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
    loss = gated.loss(_opened(selection, parent.config), tokens_bs, "float32").item()
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
    assert torch.equal(opened.hidden_d.round(), expected.hidden_d)
    assert torch.equal(opened.ffn_lf.round(), expected.ffn_lf)
    group = parent.config.heads // parent.config.kv_heads
    both = opened.queries_lh * opened.heads_lk.repeat_interleave(group, dim=1)
    assert torch.equal(both.round(), expected.queries_lh)


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
            losses.append(gated.loss(gates, text.inputs_ns, "float32").item())
        slope = abs(losses[0] - losses[1]) / (2 * step)
        in_parent = place if len(place) == 1 else (LAYERS[place[0]], place[1])
        assert getattr(scored, name)[in_parent].item() == pytest.approx(slope, rel=0.05, abs=1e-4)


def test_layers_that_are_not_kept_have_no_scores() -> None:
    parent = drawn(shape())
    scored = taylor_scores(GatedParent(parent, LAYERS, shape(depth=2)), _text(), "float32")
    assert not scored.ffn_lf[[1, 3]].any()
    assert scored.ffn_lf[list(LAYERS)].all()


def test_a_mask_depends_on_its_seed_alone() -> None:
    parent, student = drawn(shape()), shape(**STUDENTS["smaller"])
    gated = GatedParent(parent, LAYERS, student, student.width)

    def trained(seed: int) -> torch.Tensor:
        torch.manual_seed(seed + 7)  # not read
        return learned_mask(gated, student, _text(), 3, seed, "float32").ffn_lf

    assert torch.equal(trained(0), trained(0))
    assert not torch.equal(trained(0), trained(1))


def _text() -> CalibrationText:
    return CalibrationText(drawn_tokens(6), drawn_tokens(6), 100)
