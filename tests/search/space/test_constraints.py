"""Budgets in every quantity and for every solved parameter, limits, and expressions: every point satisfies them."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.counts import count_parameters, embedding_share, training_flops_per_token
from model.errors import InvalidInput
from search.proxy import proxy_config
from search.space.errors import InfeasibleSpace
from tests.search.space.spaces import PROXY, build, choices, floats, integers, point_at

TOKENS = PROXY.model_copy(update={"train_bytes": None, "train_tokens": 100_000})
SPACE = {
    "depth": integers(1, 24, log=True),
    "width": integers(32, 512, step=32),
    "ffn_ratio": floats(1.0, 4.0),
    "vocabulary_size": choices(512, 1024, 4096),
    "block": choices("llama", "pangu_pi"),
    "head_dim": choices(16, 32),
    "learning_rate": floats(1e-4, 1e-2, log=True),
}
TARGETS = {
    "total_parameters": 1_000_000,
    "non_embedding_parameters": 700_000,
    "train_flops": 6e11,
    "decode_latency": 8e-4,
    "memory": 2_500_000,
}


def architecture(space, point):
    return proxy_config(space.settings, point.values, point.attributes, threads=1).architecture


def spent(name, config):
    """What a network costs, from the model's own counts and the defaults of the constraints."""
    counts = count_parameters(config)
    cache = 2 * 2 * config.depth * config.kv_heads * config.head_dim * 256
    memory = 2 * counts.total + cache
    return {
        "total_parameters": counts.total,
        "non_embedding_parameters": counts.non_embedding,
        "train_flops": 100_000 * training_flops_per_token(config),
        "memory": memory,
        "decode_latency": memory / 5e10 + 1e-4 * config.depth,
    }[name]


def units(space, count=40):
    axes = len(space.names)
    return [*np.random.default_rng(5).random((count, axes)), np.zeros(axes), np.ones(axes)]


@pytest.mark.parametrize("solved", ["width", "depth", "ffn_ratio", "vocabulary_size"])
@pytest.mark.parametrize("quantity", TARGETS)
def test_every_point_meets_its_budget(quantity, solved):
    if (quantity, solved) == ("non_embedding_parameters", "vocabulary_size"):
        with pytest.raises(InvalidInput, match="does not depend on vocabulary_size"):
            build({}, non_embedding_parameters={"target": 10**6, "solve_for": solved})
        return
    declared = {name: parameter for name, parameter in SPACE.items() if name != solved}
    space = build(declared, proxy=TOKENS, **{quantity: {"target": TARGETS[quantity], "solve_for": solved}})
    seen = set()
    for unit in units(space):
        point = point_at(space, unit)
        config = architecture(space, point)
        assert spent(quantity, config) == pytest.approx(TARGETS[quantity], rel=0.03)
        assert solved in point.values
        assert config.ffn_width == point.attributes["ffn_width"]
        low, high = (0.5, 8.0) if solved == "ffn_ratio" else (1.0, 4.0)
        assert low <= config.ffn_ratio <= high
        again = space.point(space.unit(point.values))
        assert again.values.keys() == point.values.keys()
        assert again.values[solved] == pytest.approx(point.values[solved], rel=1e-12)
        assert space.accepts(point.values)
        seen.add(point.values[solved])
    assert len(seen) > 1


@pytest.mark.parametrize(
    ("solved", "range_", "legal"),
    [
        ("depth", {"low": 3, "high": 9, "step": 3}, {3, 6, 9}),
        ("vocabulary_size", {"low": 600, "high": 1100, "step": 100}, set(range(600, 1101, 100))),
        ("width", {"low": 64, "high": 128}, {64, 96, 128}),
    ],
)
def test_a_solved_parameter_stays_in_its_range(solved, range_, legal):
    declared = {name: SPACE[name] for name in ("depth", "width", "ffn_ratio", "vocabulary_size") if name != solved}
    space = build(
        declared, total_parameters={"target": 1_000_000, "tolerance": 0.1, "solve_for": solved, "range": range_}
    )
    values = {point_at(space, unit).values[solved] for unit in units(space)}
    assert values <= legal
    assert len(values) > 1


def test_a_solved_ratio_stays_in_its_range():
    limits = {"low": 2.0, "high": 3.0}
    declared = {"depth": integers(1, 24), "width": integers(32, 512, step=32)}
    space = build(declared, total_parameters={"target": 1_000_000, "solve_for": "ffn_ratio", "range": limits})
    points = [space.grid_point(index) for index in range(space.grid_size())]
    assert points
    assert all(2.0 <= point.values["ffn_ratio"] <= 3.0 for point in points)
    assert all(point.values["ffn_ratio"] == point.attributes["ffn_ratio_realised"] for point in points)


LIMITED = {
    "embedding_share": {"high": 0.2},
    "memory": {"low": 1.9e6, "high": 2.4e6},
    "expressions": ["depth * width <= 700", "2 <= depth <= 12", "heads >= 3", "ffn_width < 500"],
}


def test_limits_and_expressions_hold_together_with_a_budget():
    """Ten thousand draws, none thrown away: what reads solved and listed parameters only is built into the space."""
    declared = {name: parameter for name, parameter in SPACE.items() if name != "width"}
    declared["batch_tokens"] = integers(256, 4096, step=256)
    space = build(declared, total_parameters={"target": 1_000_000}, **LIMITED)
    assert not space.checks
    for number, unit in enumerate(np.random.default_rng(0).random((10_000, len(space.names)))):
        point = point_at(space, unit)
        depth, width, attributes = point.values["depth"], point.values["width"], point.attributes
        assert abs(attributes["total_parameters"] / 1_000_000 - 1) <= 0.03
        assert point.values["vocabulary_size"] * width / attributes["total_parameters"] <= 0.2
        assert 2 <= depth <= 12
        assert depth * width <= 700
        assert attributes["heads"] >= 3
        assert attributes["ffn_width"] < 500
        assert 1.9e6 <= attributes["memory"] <= 2.4e6
        if number < 100:
            config = architecture(space, point)
            assert count_parameters(config).total == attributes["total_parameters"]
            assert spent("memory", config) == attributes["memory"]
            assert space.accepts(point.values)


def test_without_a_budget_limits_hold_too():
    declared = {name: parameter for name, parameter in SPACE.items() if name not in ("ffn_ratio", "learning_rate")}
    space = build(declared, **LIMITED)
    assert not space.checks
    assert 0 < len(space.groups[0]) < np.prod([parameter.size for parameter in declared.values()])
    for unit in units(space, 100):
        point = point_at(space, unit)
        config = architecture(space, point)
        assert embedding_share(config) <= 0.2
        assert 1.9e6 <= spent("memory", config) <= 2.4e6
        assert config.depth * config.width <= 700
        assert space.accepts(point.values)


def test_an_expression_over_two_groups_ties_them():
    space = build(
        {"depth": integers(1, 8), "batch_tokens": integers(256, 4096, step=256), "sequence_length": choices(128, 256)},
        expressions=["batch_tokens >= 8 * sequence_length", "depth * 256 <= batch_tokens"],
    )
    brute = sum(
        1
        for depth in range(1, 9)
        for batch in range(256, 4097, 256)
        for length in (128, 256)
        if batch % length == 0 and batch >= 8 * length and depth * 256 <= batch
    )
    assert [len(group) for group in space.groups] == [1, brute]
    assert (space.grid_size(), space.checks) == (brute, ())


def test_constraints_hold_at_every_inner_point():
    grid = {"batch_tokens": (1024, 2048), "seed": (0, 1)}
    space = build(
        {"sequence_length": choices(128, 256, 512)}, grid, expressions=["batch_tokens >= 4 * sequence_length"]
    )
    assert space.excluded == {"sequence_length": (512,)}
    with pytest.raises(InfeasibleSpace) as caught:
        build({"depth": integers(1, 4)}, grid, expressions=["batch_tokens > 1024"])
    assert caught.value.field == "constraints.expressions.0"


@pytest.mark.parametrize(
    ("constraints", "field", "said"),
    [
        (
            {"expressions": ["depth > 6", "width > 64", "depth < 4"]},
            "constraints.expressions.2",
            "expressions.0 (depth > 6)",
        ),
        ({"expressions": ["depth > 24"]}, "constraints.expressions.0", "depth from 1 to 24"),
        ({"expressions": ["depth > width"]}, "constraints.expressions.0", "width from 32 to 512"),
        ({"memory": {"high": 1000}}, "constraints.memory", "the smallest network of the space has"),
        ({"memory": {"low": 1e12}}, "constraints.memory", "the largest network of the space has"),
        (
            {"total_parameters": {"target": 10**6, "solve_for": "depth"}, "memory": {"high": 1.5e6}},
            "constraints.memory",
            "the smallest network",
        ),
        (
            {
                "total_parameters": {"target": 10**6, "solve_for": "depth"},
                "embedding_share": {"high": 0.05},
                "expressions": ["width >= 160"],
            },
            "constraints.embedding_share",
            "together with constraints.expressions.0 (width >= 160)",
        ),
        ({"expressions": ["init_std < 1"]}, "constraints.expressions.0", "init_std has no number"),
        (
            {"total_parameters": {"target": 10**6, "solve_for": "depth", "range": {"low": 128}}},
            None,
            "smallest network",
        ),
        ({"train_flops": {"high": 1e15}}, "constraints.train_flops", "gives no train_tokens"),
    ],
)
def test_contradictions_are_named(constraints, field, said):
    solved = constraints.get("total_parameters", {}).get("solve_for")
    names = ("depth", "width", "vocabulary_size")
    with pytest.raises(InvalidInput) as caught:
        build({name: SPACE[name] for name in names if name != solved}, **constraints)
    assert caught.value.field == (field or "constraints.total_parameters.target")
    assert said in caught.value.reason
    assert caught.value.remedy
    assert "width > 64" not in caught.value.reason


@pytest.mark.parametrize("quantity", TARGETS)
def test_the_limits_that_a_refusal_names_are_met(quantity):
    declared = {"depth": integers(3, 24), "width": integers(96, 512, step=32)}
    for side, absurd, word in (("high", 1e-9, "high"), ("low", 1e30, "low")):
        with pytest.raises(InfeasibleSpace) as caught:
            build(declared, proxy=TOKENS, **{quantity: {side: absurd}})
        named = float(caught.value.remedy.split(f"{word} to ")[1])
        assert build(declared, proxy=TOKENS, **{quantity: {side: named}}).size == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    solved=st.sampled_from(["width", "depth", "ffn_ratio", "vocabulary_size"]),
    target=st.integers(100_000, 10_000_000),
    share=st.floats(0.02, 0.9),
    area=st.integers(100, 20_000),
    ratio=st.sampled_from([floats(1.0, 4.0), choices(2.0, 4.0), None]),
    unit=st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_every_point_of_any_such_space_is_accepted(solved, target, share, area, ratio, unit):
    declared = {
        "depth": integers(1, 24),
        "width": integers(32, 512, step=32),
        "vocabulary_size": choices(512, 4096),
        **({"ffn_ratio": ratio} if ratio else {}),
    }
    declared.pop(solved, None)
    try:
        space = build(
            declared,
            total_parameters={"target": target, "solve_for": solved},
            embedding_share={"high": share},
            expressions=[f"depth * width <= {area}"],
        )
    except InfeasibleSpace:
        return
    point = point_at(space, unit[: len(space.names)])
    config = architecture(space, point)
    assert abs(count_parameters(config).total / target - 1) <= 0.03
    assert embedding_share(config) <= share + 1e-12
    assert config.depth * config.width <= area
    assert not space.checks
    assert space.accepts(point.values)
