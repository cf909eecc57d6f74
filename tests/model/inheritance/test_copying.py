import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from model.inheritance.copying import inherit_weights
from model.inheritance.layers import choose_layers
from model.inheritance.scores import random
from model.inheritance.selection import select
from model.inheritance.units import Selection
from model.inheritance.vocabulary import TokenMap
from model.transformer import Transformer
from tests.model.inheritance.networks import SAME_TOKENS, architecture, families, masked, network, tokens


def inherited(parent: Transformer, config: ArchitectureConfig, token_map: TokenMap = SAME_TOKENS) -> Transformer:
    student, _ = inherited_by_chance(parent, config, 0, token_map)
    return student


def inherited_by_chance(
    parent: Transformer, config: ArchitectureConfig, seed: int, token_map: TokenMap = SAME_TOKENS
) -> tuple[Transformer, Selection]:
    student = network(config, seed=99)
    layers = choose_layers("uniform", None, parent.config.depth, config.depth)
    selection = select(random(parent, seed), parent.config, config, layers)
    inherit_weights(student, parent, selection, token_map)
    return student, selection


@given(families())
@settings(max_examples=15, deadline=None)
def test_with_everything_kept_the_weights_are_the_parents(
    family: tuple[ArchitectureConfig, ArchitectureConfig],
) -> None:
    parent = network(family[0])
    student = inherited(parent, family[0])
    for name, weight in parent.named_parameters():
        assert torch.equal(weight, student.get_parameter(name))
    assert torch.equal(parent(tokens()), student(tokens()))


@given(families(), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_the_student_computes_what_the_parent_computes_with_the_others_masked(
    family: tuple[ArchitectureConfig, ArchitectureConfig], seed: int
) -> None:
    parent = network(family[0], seed)
    student, selection = inherited_by_chance(parent, family[1], seed)
    with torch.no_grad():
        torch.testing.assert_close(student(tokens()), masked(parent, selection)(tokens()), atol=2e-5, rtol=2e-5)


def test_every_weight_is_overwritten() -> None:
    student = inherited(network(architecture(width=24, qk_norm=True)), architecture(depth=2, qk_norm=True))
    untouched = network(architecture(depth=2, qk_norm=True), seed=99)
    for name, weight in student.named_parameters():
        assert not torch.isclose(weight, untouched.get_parameter(name)).all()


def test_an_untied_student_of_a_tied_parent_computes_the_same() -> None:
    parent = network(architecture(tied_head=True))
    student = inherited(parent, architecture(tied_head=False))
    assert torch.equal(student.head_vd, parent.embedding.weight)
    assert torch.equal(student(tokens()), parent(tokens()))


def test_a_tied_student_of_an_untied_parent_has_the_direction_of_the_sum_and_the_size_of_both() -> None:
    parent = network(architecture(tied_head=False))
    student = inherited(parent, architecture(tied_head=True))
    both = parent.embedding.weight + parent.head_vd
    torch.testing.assert_close(student.embedding.weight / student.embedding.weight.norm(), both / both.norm())
    sizes = torch.stack([parent.embedding.weight.norm(), parent.head_vd.norm()])
    assert student.embedding.weight.norm().item() == pytest.approx(sizes.square().mean().sqrt().item())


def test_an_untied_parent_whose_tables_are_equal_is_a_tied_one() -> None:
    parent = network(architecture(tied_head=False))
    with torch.no_grad():
        parent.head_vd.copy_(parent.embedding.weight)
    student = inherited(parent, architecture(tied_head=True))
    torch.testing.assert_close(student.embedding.weight, parent.embedding.weight)


@pytest.mark.parametrize("tied_head", [True, False])
def test_tokens_are_looked_up_in_the_parents_tables(tied_head: bool) -> None:
    """Student tokens 0 to 4: the parent's 7, 7, the mean of 1 and 2, of 3, 3 and 5, and of all."""
    token_map = TokenMap((7, 7, -1, -1, -1), {2: (1, 2), 3: (3, 3, 5), 4: ()})
    parent = network(architecture(tied_head=tied_head))
    student, kept = inherited_by_chance(
        parent, architecture(vocabulary_size=5, width=8, tied_head=tied_head), 0, token_map
    )
    for ours, theirs in ((student.embedding.weight, parent.embedding.weight), (student.head_vd, parent.head_vd)):
        rows = theirs[:, list(kept.hidden)]
        means = torch.stack([rows[[1, 2]].mean(0), (2 * rows[3] + rows[5]) / 3, rows.mean(0)])
        assert torch.equal(ours[0], rows[7])
        assert torch.equal(ours[1], rows[7])
        torch.testing.assert_close(ours[2:], means)


def test_a_student_that_does_not_fit_is_refused_before_a_weight_is_changed() -> None:
    parent, config = network(architecture()), architecture(head_dim=8)
    student = network(config)
    before = {name: weight.clone() for name, weight in student.named_parameters()}
    _, kept = inherited_by_chance(parent, architecture(), 0)
    with pytest.raises(InvalidInput, match="has head_dim 4, the network 8"):
        inherit_weights(student, parent, kept, SAME_TOKENS)
    assert all(torch.equal(weight, before[name]) for name, weight in student.named_parameters())
