"""Conditional parameters: who exists where, and what is refused."""

import math

import numpy as np
import pytest

from model.errors import InvalidInput
from tests.search.space.spaces import PROXY, build, choices, floats, integers, point_at

FAMILIES = {
    "init_scheme": choices("constant", "gpt2", "mup"),
    "init_std": floats(0.01, 0.1, log=True),
    "block": choices("llama", "pangu_pi"),
    "kv_heads": choices(1, 2),
    "depth": integers(2, 5),
}
CONDITIONS = {"init_std": {"init_scheme": ("constant", "gpt2")}, "kv_heads": {"block": ("llama",)}}


def test_a_child_exists_where_its_parents_have_the_values():
    space = build(FAMILIES, conditions=CONDITIONS)
    seen = set()
    for unit in np.random.default_rng(0).random((300, 5)):
        point = point_at(space, unit)
        values = point.values
        assert ("init_std" in values) == (values["init_scheme"] != "mup")
        assert ("kv_heads" in values) == (values["block"] == "llama")
        assert list(values) == [name for name in space.names if name in values]
        assert point.attributes["kv_heads"] == values.get("kv_heads", 4)
        assert space.existing(values) == tuple(values)
        seen.add(frozenset(values))
    assert len(seen) == 4


def test_the_axis_of_what_does_not_exist_is_not_read():
    space = build(FAMILIES, conditions=CONDITIONS)
    here = {"init_scheme": 0.99, "init_std": 0.1, "block": 0.99, "kv_heads": 0.2, "depth": 0.5}
    point = space.point(here)
    assert space.point({**here, "init_std": 0.9, "kv_heads": 0.7}) == point
    unit = space.unit(point.values)
    assert (unit["init_std"], unit["kv_heads"]) == (0.5, 0.5)
    assert space.point(unit) == point


def test_what_does_not_exist_has_the_value_of_the_proxy():
    proxy = PROXY.model_copy(update={"kv_heads": 4})
    space = build(FAMILIES, conditions=CONDITIONS, proxy=proxy)
    assert space.point({**dict.fromkeys(space.names, 0.5), "block": 0.9}).attributes["kv_heads"] == 4


def test_a_grid_counts_what_does_not_exist_once():
    discrete = {name: parameter for name, parameter in FAMILIES.items() if name != "init_std"}
    space = build(discrete, conditions={"kv_heads": CONDITIONS["kv_heads"]})
    assert space.size == 3 * (2 + 1) * 4
    points = {tuple(space.grid_point(index).values.items()) for index in range(space.grid_size())}
    assert len(points) == space.size


def test_families_do_not_multiply():
    """Two families of five parameters with seven values each: 2 · 7⁵ combinations, not 7¹⁰."""
    names = ("depth", "vocabulary_size", "head_dim", "batch_tokens", "seed")
    others = ("weight_decay", "learning_rate", "warmup_tokens", "init_std", "ffn_ratio")
    numbers = [integers(2, 14, step=2), integers(300, 306), integers(4, 16, step=2), integers(256, 1792, step=256)]
    space = {
        "block": choices("llama", "pangu_pi"),
        **dict(zip(names, [*numbers, integers(0, 6)], strict=True)),
        **dict(
            zip(
                others,
                [*[floats(0.1, 0.7, step=0.1)] * 2, integers(0, 6), *[floats(0.1, 0.7, step=0.1)] * 2],
                strict=True,
            )
        ),
    }
    conditions = {name: {"block": ("llama",)} for name in names} | {name: {"block": ("pangu_pi",)} for name in others}
    proxy = PROXY.model_copy(update={"head_dim": 4, "width": 480, "kv_heads": 1})
    sized = build(space, conditions=conditions, proxy=proxy)
    legal_head_dims = sum(480 % head_dim == 0 for head_dim in range(4, 17, 2))
    assert sized.size == 7**4 * legal_head_dims + 7**5


def test_chains_are_followed():
    space = build(
        {"depth": choices(2, 4), "head_dim": choices(16, 32), "weight_decay": floats(0.0, 0.1)},
        conditions={"head_dim": {"depth": (4,)}, "weight_decay": {"head_dim": (16,)}},
    )
    for unit in np.random.default_rng(1).random((100, 3)):
        values = point_at(space, unit).values
        assert ("head_dim" in values) == (values["depth"] == 4)
        assert ("weight_decay" in values) == (values.get("head_dim") == 16)


def test_a_child_may_be_declared_before_its_parent():
    space = build(
        {"kv_heads": choices(1, 2), "block": choices("llama", "pangu_pi")},
        conditions={"kv_heads": {"block": ("llama",)}},
    )
    assert space.names == ("kv_heads", "block")
    assert space.size == 3
    for index in range(3):
        point = space.grid_point(index)
        assert space.point(space.unit(point.values)) == point


def test_a_continuous_ratio_that_does_not_exist_leaves_the_slack_of_the_proxy():
    space = build(
        {"depth": integers(2, 8), "ffn_ratio": floats(1.0, 1.5), "block": choices("llama", "pangu_pi")},
        conditions={"ffn_ratio": {"block": ("llama",)}},
        total_parameters={"target": 1_000_000},
    )
    realised = {"llama": [], "pangu_pi": []}
    for unit in np.random.default_rng(2).random((100, 3)):
        point = point_at(space, unit)
        realised[point.values["block"]].append(point.attributes["ffn_ratio_realised"])
        assert ("ffn_ratio" in point.values) == (point.values["block"] == "llama")
    assert 1.0 <= min(realised["llama"]) <= max(realised["llama"]) <= 1.5
    assert 8 / 6 <= min(realised["pangu_pi"]) <= max(realised["pangu_pi"]) <= 16 / 3
    assert max(realised["pangu_pi"]) > 1.5


def test_a_value_that_no_budget_allows_takes_its_children_along():
    space = build(
        {"vocabulary_size": choices(512, 60_000), "kv_heads": choices(1, 2)},
        conditions={"kv_heads": {"vocabulary_size": (60_000,)}},
        total_parameters={"target": 1_000_000},
    )
    assert space.excluded == {"vocabulary_size": (60_000,), "kv_heads": (1, 2)}
    assert space.size == 1


@pytest.mark.parametrize(
    ("conditions", "field", "said"),
    [
        ({"kv_head": {"block": ("llama",)}}, "conditions.kv_head", "not in the space"),
        ({"kv_heads": {"blok": ("llama",)}}, "conditions.kv_heads.blok", "not in the space"),
        ({"kv_heads": {"block": ("gpt",)}}, "conditions.kv_heads.block", "'gpt' is no value of block"),
        ({"kv_heads": {"depth": (9,)}}, "conditions.kv_heads.depth", "9 is no value of depth"),
        ({"kv_heads": {"depth": (True,)}}, "conditions.kv_heads.depth", "True is no value of depth"),
        ({"kv_heads": {"init_std": (0.01,)}}, "conditions.kv_heads.init_std", "continuous"),
        ({"kv_heads": {}}, "conditions.kv_heads", "no parent"),
        (
            {"block": {"depth": (2,)}, "kv_heads": {"block": ("llama",), "depth": (3,)}},
            "conditions.kv_heads",
            "exists nowhere",
        ),
        ({"depth": {"depth": (2,)}}, "conditions.depth", "depends on itself"),
        ({"depth": {"block": ("llama",)}, "block": {"depth": (2,)}}, "conditions.depth", "through depth and block"),
    ],
)
def test_what_is_no_condition_is_refused(conditions, field, said):
    with pytest.raises(InvalidInput) as caught:
        build(FAMILIES, conditions=conditions)
    assert (caught.value.field, said in caught.value.reason) == (field, True), caught.value
    assert caught.value.remedy


def test_an_expression_needs_a_number_where_the_child_does_not_exist():
    with pytest.raises(InvalidInput, match="init_std has no number of its own at every point"):
        build(FAMILIES, conditions=CONDITIONS, expressions=["init_std * depth < 0.3"])
    proxy = PROXY.model_copy(update={"init_std": 0.05})
    space = build(FAMILIES, conditions=CONDITIONS, proxy=proxy, expressions=["init_std * depth < 0.21"])
    rng = np.random.default_rng(3)
    for values in (space.draw(rng).values for _ in range(200)):
        assert values.get("init_std", 0.05) * values["depth"] < 0.21
        assert not math.isclose(values.get("init_std", 0.0), 0.05)
