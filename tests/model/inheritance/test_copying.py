import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.config import ArchitectureConfig
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
@settings(max_examples=25, deadline=None)
def test_with_everything_kept_the_weights_are_the_parents(
    family: tuple[ArchitectureConfig, ArchitectureConfig],
) -> None:
    parent = network(family[0])
    student = inherited(parent, family[0])
    for name, weight in parent.named_parameters():
        assert torch.equal(weight, student.get_parameter(name))
    assert torch.equal(parent(tokens()), student(tokens()))


@given(families(), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
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
