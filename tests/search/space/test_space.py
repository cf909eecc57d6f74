"""The space: every point is legal, distributed as declared, and solved to its budget."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from model.config import ArchitectureConfig
from model.counts import count_parameters
from model.errors import InvalidInput
from search.constraints import Constraints, TotalParameters
from search.parameters import CategoricalParameter, FloatParameter, IntParameter, Parameter
from search.proxy import proxy_config
from search.space import Point, Space
from search.space.budget import Budget
from search.space.errors import InfeasibleSpace
from search.space.network import RATIO_SLACK
from search.space.quantities import ParameterCount
from search.space.shapes import Shapes
from trainer.config import ProxySettings

PROXY = ProxySettings(train_bytes=100_000)


def integers(low, high, **more):
    return IntParameter(type="int", low=low, high=high, **more)


def floats(low, high, **more):
    return FloatParameter(type="float", low=low, high=high, **more)


def choices(*values):
    return CategoricalParameter(type="categorical", choices=values)


def budget(target, tolerance=0.03):
    return Constraints(total_parameters=TotalParameters(target=target, tolerance=tolerance))


def build(space, inner=None, constraints=None, proxy=PROXY):
    return Space.build(space, inner or {}, constraints or Constraints(), proxy)


def network(space: Space, point: Point) -> ArchitectureConfig:
    return proxy_config(space.settings, point.values, point.attributes, threads=1).architecture


@st.composite
def ranges(draw, low, high, log=False):
    first, second = sorted((draw(st.integers(low, high)), draw(st.integers(low, high))))
    return integers(first, second, log=log and draw(st.booleans()))


@st.composite
def specs(draw):
    shape: dict[str, Parameter] = {}
    options = {
        "block": st.sampled_from([choices("llama", "pangu_pi"), choices("pangu_pi")]),
        "depth": ranges(1, 48, log=True),
        "vocabulary_size": st.lists(st.integers(257, 60_000), min_size=1, max_size=4, unique=True).map(
            lambda v: choices(*v)
        ),
        "head_dim": st.lists(st.sampled_from([8, 16, 32, 64]), min_size=1, unique=True).map(lambda v: choices(*v)),
        "kv_heads": st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, unique=True).map(lambda v: choices(*v)),
        "ffn_ratio": st.one_of(
            st.just(floats(1.0, 4.0)), st.just(floats(2.5, 2.9)), st.just(choices(2.0, 4.0)), st.just(integers(1, 4))
        ),
        "learning_rate": st.just(floats(1e-4, 1e-2, log=True)),
        "batch_tokens": ranges(256, 8192),
    }
    for name in draw(st.permutations(list(options))):
        if draw(st.booleans()):
            shape[name] = draw(options[name])
    target = int(10 ** draw(st.floats(4.5, 9.5)))
    tolerance = 10 ** draw(st.floats(-3, -1))
    fixed = {"tied_head": st.booleans(), "qk_norm": st.booleans(), "block": st.sampled_from(["llama", "pangu_pi"])}
    proxy = PROXY.model_copy(update={name: draw(values) for name, values in fixed.items()})
    return shape, budget(target, tolerance), proxy


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spec=specs(), seed=st.integers(0, 2**32 - 1))
def test_every_point_meets_the_budget_and_builds_a_network(spec, seed):
    parameters, constraints, proxy = spec
    try:
        space = build(parameters, constraints=constraints, proxy=proxy)
    except InfeasibleSpace:
        return
    wanted = constraints.total_parameters
    for unit in [
        *np.random.default_rng(seed).random((5, len(parameters))),
        np.zeros(len(parameters)),
        np.ones(len(parameters)),
    ]:
        point = space.point(dict(zip(space.names, unit, strict=True)))
        config = network(space, point)
        total = count_parameters(config).total
        assert abs(total / wanted.target - 1) <= wanted.tolerance
        assert total == point.attributes["total_parameters"]
        assert config.ffn_width == point.attributes["ffn_width"]
        check_ratio(space, point)
        again = space.point(space.unit(point.values)).values
        for name, value in point.values.items():
            assert again[name] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-9))


@settings(max_examples=80, deadline=None)
@given(
    depth=st.integers(1, 20),
    vocabulary_size=st.integers(257, 3000),
    unit=st.sampled_from([(2, 0), (6, 1), (8, 0), (10, 3), (32, 2)]),
    pangu=st.booleans(),
    qk_norm=st.booleans(),
    target=st.integers(5_000, 3_000_000),
)
def test_no_width_that_meets_the_budget_is_missed(depth, vocabulary_size, unit, pangu, qk_norm, target):
    def shapes(width):
        columns = (np.full_like(width, value) for value in (vocabulary_size, *unit, 256))
        return Shapes(np.full_like(width, depth), width, *columns, np.full(len(width), pangu), True, qk_norm)

    wanted = Budget(ParameterCount(), target, 0.02)
    step = unit[0] * max(unit[1], 1)
    every = np.arange(step, 3_000_000 // vocabulary_size + step, step, dtype=np.int64)
    low, high = np.array([1.0]), np.array([4.0])
    ffn_width = wanted.ffn_width(shapes(every), low, high)
    found = wanted.solutions(shapes(every[:1]), low, high)
    assert found.value.tolist() == every[ffn_width > 0].tolist()
    assert found.ffn_width.tolist() == ffn_width[ffn_width > 0].tolist()


def test_both_blocks_meet_one_budget_with_widths_of_their_own():
    space = build({"block": choices("llama", "pangu_pi")}, constraints=budget(1_000_000, 0.001))
    llama, pangu = (space.point({"block": unit}) for unit in (0.25, 0.75))
    assert (llama.values["block"], pangu.values["block"]) == ("llama", "pangu_pi")
    assert llama.attributes["ffn_width"] > pangu.attributes["ffn_width"]
    for point in (llama, pangu):
        assert count_parameters(network(space, point)).total == point.attributes["total_parameters"]
        assert abs(point.attributes["total_parameters"] / 1_000_000 - 1) <= 0.001


def test_mup_comes_with_its_base_width_and_the_other_schemes_without():
    proxy = PROXY.model_copy(update={"mup_base_width": 64})
    space = build({"init_scheme": choices("gpt2", "mup")}, proxy=proxy)
    standard, mup = (network(space, space.point({"init_scheme": unit})) for unit in (0.25, 0.75))
    assert (standard.mup_base_width, mup.mup_base_width) == (None, 64)


def check_ratio(space, point):
    asked, realised = point.attributes["ffn_ratio_asked"], point.attributes["ffn_ratio_realised"]
    parameter = space.parameters.get("ffn_ratio")
    if isinstance(parameter, FloatParameter):
        assert parameter.low <= realised <= parameter.high
    else:
        assert asked / RATIO_SLACK <= realised <= asked * RATIO_SLACK


def test_the_asked_ratio_picks_the_nearest_legal_width():
    space = build({"ffn_ratio": floats(0.5, 8.0, log=True)}, constraints=budget(10_000_000))
    points = [space.point({"ffn_ratio": unit}) for unit in np.linspace(0, 1, 200)]
    realised = sorted({point.attributes["ffn_ratio_realised"] for point in points})
    assert len(realised) > 3
    for point in points:
        asked = point.attributes["ffn_ratio_asked"]
        nearest = min(realised, key=lambda ratio: abs(math.log(ratio / asked)))
        assert point.attributes["ffn_ratio_realised"] == nearest


def test_a_tight_tolerance_gets_a_finer_ffn_width():
    coarse = build({}, constraints=budget(1_000_000, 0.03)).point({})
    fine = build({}, constraints=budget(1_000_000, 0.001)).point({})
    assert coarse.attributes["ffn_width"] % 8 == 0
    assert fine.attributes["ffn_width"] % 8 != 0


def test_discrete_parameters_follow_the_declared_distribution_conditioned_on_feasibility():
    declared = {
        "depth": integers(1, 12, log=True),
        "vocabulary_size": choices(512, 2048, 8192, 16384),
        "head_dim": choices(16, 32, 64),
    }
    space = build(declared, constraints=budget(1_000_000, 0.01), proxy=PROXY.model_copy(update={"ffn_ratio": 1.0}))
    expected = {}
    for depth in range(1, 13):
        for vocabulary_size in declared["vocabulary_size"].choices:
            for head_dim in declared["head_dim"].choices:
                if feasible_by_search(depth, vocabulary_size, head_dim, 1_000_000, 0.01, 1.0):
                    expected[depth, vocabulary_size, head_dim] = math.log((depth + 0.5) / (depth - 0.5))
    assert 20 < len(expected) < 12 * 4 * 3 - 20
    drawn = Counter()
    for unit in np.random.default_rng(7).random((8_000, 3)):
        values = space.point(dict(zip(space.names, unit, strict=True))).values
        drawn[values["depth"], values["vocabulary_size"], values["head_dim"]] += 1
    assert set(drawn) <= set(expected)
    weights = np.array(list(expected.values()))
    observed = [drawn[key] for key in expected]
    assert chisquare(observed, 8_000 * weights / weights.sum()).pvalue > 1e-3


def feasible_by_search(depth, vocabulary_size, head_dim, target, tolerance, ratio):
    """Slow and direct: try every width and every FFN width, on the model's own counts."""

    def count(width, ffn_width):
        shape = {"depth": depth, "vocabulary_size": vocabulary_size, "head_dim": head_dim}
        return count_parameters(ArchitectureConfig(width=width, ffn_width=ffn_width, **shape)).total

    for width in range(head_dim, 600, head_dim):
        base, channel = count(width, 1), count(width, 2) - count(width, 1)
        if base > target * (1 + tolerance):
            return False
        for ffn_width in range(math.ceil(ratio / RATIO_SLACK * width), math.floor(ratio * RATIO_SLACK * width) + 1):
            if abs((base + (ffn_width - 1) * channel) / target - 1) <= tolerance:
                return True
    return False


def test_unconditioned_parameters_follow_their_quantiles():
    space = build(
        {
            "learning_rate": floats(1e-4, 1e-2, log=True),
            "weight_decay": floats(0.0, 0.3, step=0.1),
            "depth": integers(2, 10, step=4),
            "init_scheme": choices("constant", "gpt2"),
        }
    )
    point = space.point({"learning_rate": 0.5, "weight_decay": 0.999, "depth": 0.4, "init_scheme": 0.5})
    assert point.values["learning_rate"] == pytest.approx(1e-3)
    assert {name: point.values[name] for name in ("weight_decay", "depth", "init_scheme")} == {
        "weight_decay": 0.3,
        "depth": 6,
        "init_scheme": "gpt2",
    }
    assert space.size is None


@pytest.mark.parametrize(
    ("space", "inner", "constraints", "field", "reason"),
    [
        (
            {"vocabulary_size": choices(50_000)},
            {},
            budget(1_000_000),
            "constraints.total_parameters.target",
            "1600000 of them for the vocabulary",
        ),
        ({"depth": integers(1, 4)}, {}, budget(10**13), "constraints.total_parameters.target", "largest network"),
        ({"ffn_ratio": floats(2.66, 2.67)}, {}, budget(1_000_000), "constraints.total_parameters.target", "nearest"),
        ({"depth": integers(1, 4)}, {}, budget(1_000_000, 1e-7), "constraints.total_parameters.target", "nearest"),
        ({"head_dim": choices(33)}, {}, budget(1_000_000), "space.head_dim", "odd"),
        ({"head_dim": integers(33, 33)}, {}, None, "space.head_dim", "odd"),
        ({"width": choices(100, 128)}, {}, None, "space.width", "100 is not a multiple of head_dim 32"),
        ({"width": integers(60, 63)}, {}, None, "space.width", "not a multiple"),
        ({"kv_heads": choices(3)}, {}, None, "proxy.width", "kv_heads 3"),
        (
            {"batch_tokens": choices(1000, 1024)},
            {},
            None,
            "space.batch_tokens",
            "1000 is not a multiple of sequence_length 256",
        ),
        ({}, {"batch_tokens": (1024, 1000)}, None, "inner.batch_tokens", "1000 is not a multiple"),
        ({"depth": integers(2, 8)}, {"depth": (2,)}, None, "inner.depth", "in the space as well"),
        (
            {},
            {"depth": (2, 4)},
            budget(1_000_000),
            "inner.depth",
            "changes what constraints.total_parameters holds equal",
        ),
        ({"width": integers(64, 128)}, {}, budget(1_000_000), "space.width", "solves for"),
        ({"dept": integers(2, 8)}, {}, None, "space.dept", "not a parameter"),
        ({}, {"rounds": (0,)}, None, "inner.rounds.0", "0 is out of place"),
        ({"depth": integers(1, 10**9)}, {}, None, "space.depth.high", "1000000000"),
        ({"depth": floats(1, 4)}, {}, None, "space.depth.type", "whole numbers"),
        ({"depth": choices(2, 4.0)}, {}, None, "space.depth.choices.1", "4.0"),
        ({"depth": choices(True)}, {}, None, "space.depth.choices.0", "True"),
        ({"learning_rate": floats(0.0, 0.1)}, {}, None, "space.learning_rate.low", "0.0"),
        ({"init_scheme": choices("constant", "xavier")}, {}, None, "space.init_scheme.choices.1", "'xavier'"),
        ({"vocabulary_size": integers(256, 512)}, {}, None, "space.vocabulary_size.low", "256"),
        ({}, {"seed": (0, 0)}, None, "inner.seed", "twice"),
        ({}, {"learning_rate": (float("nan"),)}, None, "inner.learning_rate.0", "nan"),
        ({"batch_tokens": integers(256, 2**27)}, {}, None, "space", "combinations"),
        (
            {"width": integers(64, 65536, step=32), "ffn_ratio": floats(1, 64)},
            {},
            None,
            "space.ffn_ratio",
            "FFN width reaches",
        ),
    ],
)
def test_a_space_without_points_is_refused_with_the_field_and_the_reason(space, inner, constraints, field, reason):
    with pytest.raises(InvalidInput) as caught:
        build(space, inner, constraints)
    assert caught.value.field == field
    assert reason in caught.value.reason
    assert caught.value.remedy


def test_the_budgets_that_a_refusal_names_are_reachable():
    narrow = {"ffn_ratio": floats(2.66, 2.67)}
    with pytest.raises(InfeasibleSpace) as caught:
        build(narrow, constraints=budget(1_000_000))
    named = [int(word) for word in caught.value.reason.split("reach: ")[1].split(" and ")]
    assert len(named) == 2
    for target in named:
        build(narrow, constraints=budget(target))
    tolerance = float(caught.value.remedy.split("tolerance to ")[1].split()[0])
    build(narrow, constraints=budget(1_000_000, tolerance))


def test_choices_that_no_budget_can_hold_are_named_as_excluded():
    space = build({"vocabulary_size": choices(512, 60_000)}, constraints=budget(1_000_000))
    assert space.excluded == {"vocabulary_size": (60_000,)}
    assert {space.point({"vocabulary_size": unit}).values["vocabulary_size"] for unit in (0, 0.5, 1)} == {512}


def test_the_grid_holds_every_point_once():
    space = build(
        {
            "width": integers(32, 128, step=32),
            "learning_rate": choices(1e-3, 2e-3),
            "head_dim": choices(32, 64),
            "batch_tokens": choices(1024, 2048),
        }
    )
    points = {tuple(space.grid_point(index).values.items()) for index in range(space.grid_size())}
    assert len(points) == space.grid_size() == (4 + 2) * 2 * 2


def test_a_trial_takes_its_shape_from_the_inner_point_too():
    space = build({"learning_rate": choices(1e-3)}, inner={"width": (64, 128), "seed": (0, 1)})
    assert space.inner_points == (
        {"width": 64, "seed": 0},
        {"width": 64, "seed": 1},
        {"width": 128, "seed": 0},
        {"width": 128, "seed": 1},
    )
    trial = space.trial(space.point({"learning_rate": 0.5}).values, 3)
    assert (trial.values["width"], trial.attributes["heads"]) == (128, 4)
    assert network(space, trial).width == 128
