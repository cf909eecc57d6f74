"""The cascade: families as arms, a sampler in each, rebuilt from the rows."""

import math
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import InvalidInput
from search.constraints import Constraints, TotalParameters
from search.parameters import CategoricalParameter, FloatParameter, IntParameter
from search.problem import SearchProblem
from search.samplers import build_sampler
from search.samplers.cascade import families
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.space import Space, part_of
from trainer.config import ProxySettings

SPACE = {
    "learning_rate": FloatParameter(type="float", low=1e-3, high=1e-1, log=True),
    "depth": IntParameter(type="int", low=1, high=12),
    "block": CategoricalParameter(type="categorical", choices=("llama", "pangu_pi")),
    "vocabulary_size": CategoricalParameter(type="categorical", choices=(512, 2048, 8192)),
}


def budget(*expressions):
    return Constraints(total_parameters=TotalParameters(target=1_000_000), expressions=expressions)


BUDGET = budget()
PROXY = ProxySettings(train_bytes=1000)
INSIDE_BINS = st.integers(0, 996).map(lambda part: (part + 0.37) / 997)
"""Numbers in [0, 1] that are no edge between two values of a parameter, where rounding would decide."""


def space(parameters=SPACE, constraints=BUDGET):
    return Space.build(parameters, {}, constraints, PROXY)


def problem(family="vocabulary_size", below="random", seed=0, direction="minimize", searched=None, count=100):
    return SearchProblem(
        study="study-1",
        space=searched or space(),
        objectives=(
            Objective(metric="bits_per_byte" if direction == "minimize" else "embedding_share", direction=direction),
        ),
        sampler=SamplerSpec(kind="cascade", seed=seed, family=family, below=below),
        scheduler=SchedulerSpec(),
        max_trial_count=count,
        parallel_trial_count=2,
        resources=Resources(),
        storage=Path("unused"),
    )


def loss(values, best=2048):
    level = 0.0 if values["vocabulary_size"] == best else 0.6
    return level + 0.3 * (math.log10(values["learning_rate"]) + 2) ** 2 + abs(values["depth"] - 6) / 20


def search(sampler, first, stop, value=loss):
    """Points one after the other, each told before the next is asked for."""
    points = []
    for outer in range(first, stop):
        points.append(sampler.point(outer))
        found = value(points[-1].values)
        sampler.tell(outer, None if found is None else (found,))
    return points


@pytest.mark.parametrize("names", [["vocabulary_size"], ["block"], ["block", "vocabulary_size"], ["depth"]])
def test_a_family_is_its_part_of_the_space_and_keeps_its_distribution(names):
    whole = space()
    for values, part in families(whole, names):
        assert not set(names) & set(part.names)
        unit = dict.fromkeys(part.names, 0.37)
        point = part.point(unit)
        whole_point = whole.describe({**point.values, **values})
        assert whole_point.attributes == point.attributes
        assert whole.unit(whole_point.values)  # legal: it lies in the whole space


@given(choice=st.sampled_from([512, 2048, 8192]), unit=st.lists(INSIDE_BINS, min_size=3, max_size=3))
@settings(max_examples=50, deadline=None)
def test_points_of_a_family_follow_the_declared_distribution_given_it(choice, unit):
    """Where the family comes first in the space, its part has the very quantiles of the whole."""
    first = {"vocabulary_size": SPACE["vocabulary_size"], **SPACE}
    whole = space(first)
    part = part_of(whole, {"vocabulary_size": choice})
    axes = dict(zip(part.names, unit, strict=True))
    anywhere = part.point(dict.fromkeys(part.names, 0.5))
    fixed = whole.unit({**anywhere.values, "vocabulary_size": choice})["vocabulary_size"]
    assert whole.point({**axes, "vocabulary_size": fixed}).values == {
        **part.point(axes).values,
        "vocabulary_size": choice,
    }


CONDITIONAL = {
    "learning_rate": SPACE["learning_rate"],
    "block": SPACE["block"],
    "ffn_ratio": FloatParameter(type="float", low=1.0, high=4.0),
    "depth": SPACE["depth"],
    "weight_decay": FloatParameter(type="float", low=0.0, high=0.2),
}


@cache
def conditional(*expressions):
    """A space in which one family has parameters that the other one lacks, and a child of them."""
    conditions = {"ffn_ratio": {"block": ["llama"]}, "weight_decay": {"depth": [1, 2, 3], "block": ["llama"]}}
    return Space.build(CONDITIONAL, {}, budget(*expressions), PROXY, conditions)


def test_a_family_has_the_parameters_that_exist_in_it():
    parts = {values["block"]: part for values, part in families(conditional(), ["block"])}
    assert parts["llama"].names == ("learning_rate", "ffn_ratio", "depth", "weight_decay")
    assert parts["pangu_pi"].names == ("learning_rate", "depth")
    deep = part_of(conditional(), {"block": "llama", "depth": 7})
    assert deep.names == ("learning_rate", "ffn_ratio")
    shallow = part_of(conditional(), {"depth": 2})
    assert set(shallow.point(dict.fromkeys(shallow.names, 0.9)).values) == {"learning_rate", "block", "width"}


@cache
def blocks(whole):
    return families(whole, ["block"])


@given(unit=st.lists(INSIDE_BINS, min_size=5, max_size=5))
@settings(max_examples=60, deadline=None)
def test_points_of_conditional_families_are_points_of_the_whole(unit):
    whole = conditional("depth * width * ffn_ratio <= 1500")
    for values, part in blocks(whole):
        point = part.point(dict(zip(part.names, unit, strict=False)))
        described = whole.describe({**values, **point.values})
        assert described.attributes == point.attributes
        assert whole.accepts(described.values) == part.accepts(point.values)
        assert whole.point(whole.unit(described.values)).values == pytest.approx(described.values)


def test_a_cascade_searches_a_conditional_space():
    sampler = build_sampler(problem("block", "tpe", searched=conditional()))
    points = search(sampler, 0, 30, lambda values: values["depth"] / 10 + (values["block"] == "llama"))
    assert {("ffn_ratio" in point.values, point.values["block"]) for point in points} == {
        (True, "llama"),
        (False, "pangu_pi"),
    }
    assert sum(point.values["block"] == "pangu_pi" for point in points) > 18


def test_constraints_that_a_family_cannot_meet_leave_it_out():
    """Expressions over continuous parameters are no combinations: a family may accept no point at all."""
    whole = space(constraints=budget("vocabulary_size * learning_rate <= 6"))
    assert [values["vocabulary_size"] for values, _ in families(whole, ["vocabulary_size"])] == [512, 2048]


def test_a_value_that_no_legal_point_holds_is_no_family():
    tight = space({**SPACE, "vocabulary_size": CategoricalParameter(type="categorical", choices=(512, 65536))})
    assert [values for values, _ in families(tight, ["vocabulary_size"])] == [{"vocabulary_size": 512}]
    assert part_of(tight, {"vocabulary_size": 65536}) is None
    assert part_of(tight, {"vocabulary_size": 1000}) is None


@pytest.mark.parametrize("below", ["random", "qmc", "tpe"])
def test_the_family_of_the_best_values_gets_most_points(below):
    points = search(build_sampler(problem(below=below)), 0, 60)
    chosen = [point.values["vocabulary_size"] for point in points]
    assert set(chosen[:3]) == {512, 2048, 8192}
    assert chosen.count(2048) > 25
    assert all(point.attributes["total_parameters"] == pytest.approx(1e6, rel=0.03) for point in points)


def test_maximising_looks_for_the_other_end():
    sampler = build_sampler(problem(direction="maximize"))
    chosen = [point.values["vocabulary_size"] for point in search(sampler, 0, 60, lambda values: -loss(values, 512))]
    assert chosen.count(512) > 25


@pytest.mark.parametrize(
    ("below", "family"),
    [
        ("random", "vocabulary_size"),
        ("qmc", ["block", "vocabulary_size"]),
        ("tpe", "vocabulary_size"),
        ("zoopt", "vocabulary_size"),
        ("cmaes", ["block", "vocabulary_size"]),
    ],
)
def test_a_search_that_goes_on_is_the_one_that_was_not_interrupted(below, family):
    whole = search(build_sampler(problem(family, below)), 0, 24)
    resumed = build_sampler(problem(family, below))
    for outer, point in enumerate(whole[:11]):
        resumed.restore(outer, dict(point.values))
        resumed.tell(outer, (loss(point.values),))
    assert search(resumed, 11, 24) == whole[11:]


def test_another_seed_gives_other_points_and_families_do_not_repeat_each_other():
    points = search(build_sampler(problem()), 0, 6)
    assert search(build_sampler(problem(seed=1)), 0, 6) != points
    assert len({point.values["learning_rate"] for point in points}) == 6


def test_points_that_run_spread_over_the_families():
    sampler = build_sampler(problem())
    chosen = [sampler.point(outer).values["vocabulary_size"] for outer in range(9)]
    assert sorted(chosen) == [512] * 3 + [2048] * 3 + [8192] * 3


def test_failures_are_the_worst_feedback():
    sampler = build_sampler(problem())
    points = search(
        sampler, 0, 60, lambda values: None if values["vocabulary_size"] == 512 else loss(values, best=None)
    )
    chosen = [point.values["vocabulary_size"] for point in points]
    assert chosen.count(512) < min(chosen.count(2048), chosen.count(8192))


def test_foreign_points_are_pulls_of_their_family_and_others_are_ignored():
    sampler = build_sampler(problem())
    sampler.restore(-1, {"learning_rate": 0.01, "depth": 6, "block": "llama", "vocabulary_size": 512, "width": 128})
    sampler.tell(-1, (1.0,))
    sampler.restore(-2, {"learning_rate": 0.01, "depth": 6, "block": "llama", "vocabulary_size": 9999, "width": 128})
    sampler.tell(-2, (0.1,))
    assert [sampler.point(outer).values["vocabulary_size"] for outer in (0, 1)] == [2048, 8192]


def test_foreign_points_do_not_shift_the_design_below():
    untouched = build_sampler(problem(below="qmc"))
    sampler = build_sampler(problem(below="qmc"))
    for outer in range(3):
        sampler.restore(-1 - outer, build_sampler(problem(seed=5)).point(0).values)
    rates = {made: {made.point(outer).values["learning_rate"] for outer in range(9)} for made in (untouched, sampler)}
    assert len(rates[sampler] & rates[untouched]) >= 6


@pytest.mark.parametrize("below", ["random", "tpe"])
def test_further_attempts_are_other_points_of_the_same_family_and_one_pull(below):
    sampler = build_sampler(problem(below=below))
    points = [sampler.point(0, attempt) for attempt in range(5)]
    assert len({point.values["learning_rate"] for point in points}) == 5
    assert {point.values["vocabulary_size"] for point in points} == {512}
    sampler.tell(0, (1.0,))
    assert sampler.point(1).values["vocabulary_size"] == 2048
    assert build_sampler(problem(below=below)).point(0, 0) == points[0]


@pytest.mark.parametrize("below", ["random", "qmc", "bowl", "tpe", "cmaes", "zoopt"])
@pytest.mark.parametrize("vocabulary_size", [512, 8192])
def test_a_point_that_takes_the_place_of_others_is_all_that_counts(below, vocabulary_size):
    """A plan puts one there when all that the sampler offers was tried; it may be of another family."""
    searched = space({name: SPACE[name] for name in ("learning_rate", "depth", "vocabulary_size")})
    place = {"learning_rate": 0.01, "depth": 6, "vocabulary_size": vocabulary_size}
    replaced, resumed = (build_sampler(problem(below=below, searched=searched)) for _ in range(2))
    replaced.point(0)
    replaced.point(0, 1)
    for sampler in (replaced, resumed):
        sampler.restore(0, place)
        sampler.tell(0, (1.0,))
    points = search(replaced, 1, 12)
    assert points == search(resumed, 1, 12)
    others = {512, 2048, 8192} - {vocabulary_size}
    assert {point.values["vocabulary_size"] for point in points[:2]} == others


def test_an_exhausted_family_leaves_the_search_to_the_others():
    finite = space({name: SPACE[name] for name in ("depth", "vocabulary_size")})
    sampler = build_sampler(problem(below="grid", searched=finite))
    points = search(sampler, 0, finite.size, lambda values: values["depth"])
    assert len({tuple(point.values.items()) for point in points}) == finite.size
    assert sampler.point(finite.size) is None


def test_all_parameters_can_make_families():
    finite = space({"vocabulary_size": CategoricalParameter(type="categorical", choices=(512, 1024, 2048))})
    sampler = build_sampler(problem(searched=finite))
    values = [point.values["vocabulary_size"] for point in search(sampler, 0, 3, lambda values: 1.0)]
    assert values == [512, 1024, 2048]
    assert sampler.point(3) is None


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("width", "not in the space"),
        ("learning_rate", "continuous"),
        (["depth", "block", "vocabulary_size"], "72 families, more than 64"),
    ],
)
def test_what_makes_no_families_is_refused(family, said):
    with pytest.raises(InvalidInput, match=said) as refused:
        build_sampler(problem(family))
    assert refused.value.field == "sampler.family"


def test_a_conditional_parameter_makes_no_families():
    stepped = {**CONDITIONAL, "ffn_ratio": FloatParameter(type="float", low=1.0, high=4.0, step=1.0)}
    searched = Space.build(stepped, {}, BUDGET, PROXY, {"ffn_ratio": {"block": ["llama"]}})
    with pytest.raises(InvalidInput, match="name what it depends on, block, instead"):
        build_sampler(problem("ffn_ratio", searched=searched))
