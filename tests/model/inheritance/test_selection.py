import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from model.inheritance.scores import random
from model.inheritance.selection import select
from model.inheritance.units import Scores, Selection
from tests.model.inheritance.networks import architecture, families, network


def ranks(*shape: int) -> torch.Tensor:
    """Scores that rise with the place."""
    return torch.arange(float(torch.tensor(shape).prod())).view(shape)


@given(families(), st.data())
@settings(max_examples=60, deadline=None)
def test_the_largest_scores_are_kept_and_fit_together(
    family: tuple[ArchitectureConfig, ArchitectureConfig], data: st.DataObject
) -> None:
    parent, student = family
    layers = tuple(sorted(data.draw(st.permutations(range(parent.depth)))[: student.depth]))
    scores = random(network(parent), data.draw(st.integers(0, 5)))
    kept = select(scores, parent, student, layers)
    assert kept.layers == layers
    assert_largest(scores.hidden_d, kept.hidden, student.width)
    group = parent.heads // parent.kv_heads
    for place, layer in enumerate(layers):
        assert_largest(scores.heads_lk[layer], kept.heads[place], student.kv_heads)
        assert_largest(scores.ffn_lf[layer], kept.ffn[place], student.ffn_width)
        served = [query // group for query in kept.queries[place]]
        assert served == [head for head in kept.heads[place] for _ in range(student.heads // student.kv_heads)]
        for head in kept.heads[place]:
            inside = tuple(query - head * group for query in kept.queries[place] if query // group == head)
            own = scores.queries_lh[layer, head * group : (head + 1) * group]
            assert_largest(own, inside, student.heads // student.kv_heads)


def assert_largest(scores_n: torch.Tensor, kept: tuple[int, ...], count: int) -> None:
    assert list(kept) == sorted(set(kept))
    assert len(kept) == count
    dropped = [place for place in range(len(scores_n)) if place not in kept]
    assert not dropped or scores_n[list(kept)].min() >= scores_n[dropped].max()


def test_the_numbers_are_those_of_the_parent() -> None:
    parent = architecture(depth=2, width=24, kv_heads=2, ffn_width=5)
    student = architecture(depth=1, width=8, kv_heads=1, ffn_width=2)
    scores = Scores(hidden_d=-ranks(24), heads_lk=ranks(2, 2), queries_lh=ranks(2, 6), ffn_lf=ranks(2, 5))
    assert select(scores, parent, student, [1]) == Selection(
        layers=(1,), hidden=tuple(range(8)), heads=((1,),), queries=((4, 5),), ffn=((3, 4),)
    )


def test_of_equal_scores_the_first_are_kept() -> None:
    parent, student = architecture(), architecture(width=8, ffn_width=3)
    equal = Scores(torch.ones(16), torch.ones(3, 4), torch.ones(3, 4), torch.ones(3, 12))
    kept = select(equal, parent, student, [0, 1, 2])
    assert kept.hidden == tuple(range(8))
    assert kept.heads == kept.queries == ((0, 1),) * 3
    assert kept.ffn == ((0, 1, 2),) * 3


def test_scores_that_are_no_numbers_are_refused() -> None:
    parent = architecture()
    scores = random(network(parent), 0)
    scores.ffn_lf[1, 2] = float("nan")
    with pytest.raises(InvalidInput, match=r"inherit.parent: gives scores of FFN channels that are no finite numbers"):
        select(scores, parent, architecture(width=8), [0, 1, 2])


def test_a_student_that_does_not_fit_is_refused() -> None:
    parent = architecture()
    with pytest.raises(InvalidInput, match="has width 16, the network 20"):
        select(random(network(parent), 0), parent, architecture(width=20), [0, 1, 2])
