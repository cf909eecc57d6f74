from typing import Any

import pytest
from hypothesis import given

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from model.inheritance.shapes import check_inheritable
from tests.model.inheritance.networks import architecture, families

PARENT = architecture(width=32, kv_heads=4)
"""8 query heads, 2 to each key head."""

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"depth": 4}, r"has depth 3, the network 4: .*; give the network at most depth: 3"),
    ({"width": 48, "kv_heads": 4}, r"has width 32, the network 48: .*; give the network at most width: 32"),
    ({"ffn_width": 13}, r"has ffn_width 12, the network 13: .*at most ffn_width: 12"),
    ({"kv_heads": 8}, r"has kv_heads 4, the network 8: .*at most kv_heads: 4"),
    ({"kv_heads": 2}, r"has 2 query heads to each key head, the network 4: .*; give the network kv_heads: 4"),
    (
        {"width": 16, "kv_heads": 1},
        r"has 2 query heads to each key head, the network 4: .*; give the network kv_heads: 2",
    ),
    ({"width": 20, "kv_heads": 1}, r"the network 5: .*another width: no number of key heads divides its 5 heads so"),
    ({"head_dim": 8}, r"has head_dim 4, the network 8: RoPE .*; give the network head_dim: 4"),
    ({"rope_theta": 500.0}, r"has rope_theta 10000, the network 500: .*give the network rope_theta: 10000"),
    ({"rope_theta": 10_000.01}, r"has rope_theta 10000, the network 10000.01: "),
    ({"qk_norm": True}, r"has qk_norm false, the network true: .*give the network qk_norm: false"),
    ({"block": "pangu_pi"}, r"is for a network with pangu_pi blocks, which are not inherited; use block: llama"),
    ({"mup_base_width": 16}, r"is for a network with muP's multipliers.*; use another init_scheme than mup"),
]


@pytest.mark.parametrize(("fields", "said"), REFUSED, ids=[str(fields) for fields, _ in REFUSED])
def test_what_cannot_be_inherited_is_refused_with_the_dimension_and_a_remedy(fields: dict[str, Any], said: str) -> None:
    student = architecture(**{"width": 32, "kv_heads": 4, **fields})
    with pytest.raises(InvalidInput, match=said) as refused:
        check_inheritable(PARENT, student, "campaign.inherit")
    assert refused.value.field == "campaign.inherit"


@pytest.mark.parametrize("fields", [{"block": "pangu_pi"}, {"mup_base_width": 16}])
def test_a_parent_of_another_kind_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"inherit.parent: has "):
        check_inheritable(PARENT.model_copy(update=fields), PARENT)


@given(families())
def test_what_is_smaller_in_every_dimension_can_be_inherited(
    family: tuple[ArchitectureConfig, ArchitectureConfig],
) -> None:
    check_inheritable(*family)


def test_what_no_weight_depends_on_may_differ() -> None:
    changed = {"vocabulary_size": 99, "sequence_length": 500, "mask_documents": True, "norm_eps": 1e-6}
    check_inheritable(PARENT, PARENT.model_copy(update={**changed, "tied_head": not PARENT.tied_head}))
