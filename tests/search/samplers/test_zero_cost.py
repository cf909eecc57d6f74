"""Architectures of most FLOPs under a size limit, without training, then the sampler below."""

import math
from pathlib import Path

import numpy as np
import pytest

from model.counts import forward_flops_per_token
from model.errors import InvalidInput
from search.constraints import Constraints, TotalParameters
from search.genetic import POPULATION, Individual, evolve
from search.parameters import CategoricalParameter, FloatParameter, IntParameter
from search.problem import SearchProblem
from search.samplers import build_sampler
from search.samplers.zero_cost import network
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.space import Space
from trainer.config import ProxySettings

SPACE = {
    "learning_rate": FloatParameter(type="float", low=1e-3, high=1e-1, log=True),
    "depth": IntParameter(type="int", low=1, high=12),
    "vocabulary_size": CategoricalParameter(type="categorical", choices=(512, 1024, 2048)),
    "batch_tokens": CategoricalParameter(type="categorical", choices=(1024, 2048, 4096)),
}
FINITE = {name: SPACE[name] for name in ("depth", "vocabulary_size")}
BUDGET = Constraints(total_parameters=TotalParameters(target=300_000))


def space(parameters=SPACE):
    return Space.build(parameters, {}, BUDGET, ProxySettings(train_bytes=1000, head_dim=16))


def problem(below="random", seed=0, first=6, searched=None):
    return SearchProblem(
        study="study-1",
        space=searched or space(),
        objectives=(Objective(metric="bits_per_byte"),),
        sampler=SamplerSpec(kind="zero_cost", seed=seed, first=first, below=below),
        scheduler=SchedulerSpec(),
        max_trial_count=40,
        parallel_trial_count=2,
        resources=Resources(),
        storage=Path("unused"),
    )


def flops(searched, point):
    return forward_flops_per_token(network(searched, point))


def search(sampler, first, stop):
    points = []
    for outer in range(first, stop):
        points.append(sampler.point(outer))
        sampler.tell(outer, (math.log10(points[-1].values["learning_rate"]) ** 2,))
    return points


def test_the_first_points_are_the_architectures_of_most_flops():
    whole = space()
    points = search(build_sampler(problem(searched=whole)), 0, 6)
    every = space(FINITE)
    best = sorted((flops(every, every.grid_point(index)) for index in range(every.size)), reverse=True)
    assert [flops(whole, point) for point in points] == best[:6]
    assert len({network(whole, point) for point in points}) == 6


def test_all_points_meet_the_size_limit_and_training_parameters_are_drawn():
    points = search(build_sampler(problem(first=20)), 0, 20)
    assert all(point.attributes["total_parameters"] == pytest.approx(300_000, rel=0.03) for point in points)
    rates = [point.values["learning_rate"] for point in points]
    assert len(set(rates)) == 20
    assert min(rates) < 3e-3 < 3e-2 < max(rates)
    assert {point.values["batch_tokens"] for point in points} == {1024, 2048, 4096}


def test_the_sampler_below_goes_on_with_what_the_first_points_taught():
    below = build_sampler(problem())
    further = search(below, 0, 9)[6:]
    alone = build_sampler(SearchProblem(**{**vars(problem()), "sampler": SamplerSpec(kind="random")}))
    assert further == [alone.point(outer) for outer in (6, 7, 8)]


@pytest.mark.parametrize(("below", "interrupted"), [("qmc", 3), ("random", 9), ("tpe", 6), ("tpe", 11)])
def test_a_search_that_goes_on_is_the_one_that_was_not_interrupted(below, interrupted):
    whole = search(build_sampler(problem(below)), 0, 16)
    resumed = build_sampler(problem(below))
    for outer, point in enumerate(whole[:interrupted]):
        resumed.restore(outer, dict(point.values))
        resumed.tell(outer, (math.log10(point.values["learning_rate"]) ** 2,))
    assert search(resumed, interrupted, 16) == whole[interrupted:]


def test_foreign_points_do_not_take_the_place_of_the_best():
    untouched = build_sampler(problem()).point(0)
    sampler = build_sampler(problem())
    foreign = space().point({"learning_rate": 0.5, "depth": 0.0, "vocabulary_size": 0.5, "batch_tokens": 0.5})
    for outer in range(10):
        sampler.restore(-1 - outer, foreign.values)
        sampler.tell(-1 - outer, (1.0,))
    assert sampler.point(0) == untouched


@pytest.mark.parametrize("below", ["random", "tpe", "cmaes"])
def test_further_attempts_go_on_with_the_architectures_after_the_first(below):
    searched = space({name: SPACE[name] for name in ("learning_rate", "depth", "vocabulary_size")})
    sampler = build_sampler(problem(below, searched=searched))
    points = [sampler.point(0, attempt) for attempt in range(4)]
    assert len({network(searched, point) for point in points}) == 4
    sampler.tell(0, (1.0,))
    other = sampler.point(1)
    assert flops(searched, points[0]) > flops(searched, other) > flops(searched, points[1])
    assert sampler.point(1, 60) is not None
    sampler.tell(1, (2.0,))
    assert sampler.point(2) is not None


def test_the_same_seed_gives_the_same_points_and_another_other_ones():
    first = search(build_sampler(problem()), 0, 8)
    assert search(build_sampler(problem()), 0, 8) == first
    assert search(build_sampler(problem(seed=1)), 0, 8) != first


def test_a_space_of_few_architectures_has_no_more_first_points_than_these():
    few = space({"depth": IntParameter(type="int", low=4, high=5), "learning_rate": SPACE["learning_rate"]})
    points = search(build_sampler(problem(searched=few)), 0, 4)
    assert {point.values["depth"] for point in points[:2]} == {4, 5}
    assert [point.values["depth"] for point in points[:2]] == [5, 4]


def test_a_space_without_architecture_parameters_is_refused():
    with pytest.raises(InvalidInput, match="no parameter of one") as refused:
        build_sampler(problem(searched=space({"learning_rate": SPACE["learning_rate"]})))
    assert refused.value.field == "sampler.kind"


def test_evolution_finds_more_than_as_many_random_draws():
    looked_at = []

    def express(genes):
        cells = tuple(int(gene * 50) for gene in genes)
        looked_at.append(sum(cells))
        return Individual(genes, cells, float(sum(cells)))

    found = evolve(express, axes=8, seed=0)
    drawn = np.random.default_rng(0).integers(0, 50, (len(looked_at), 8)).sum(axis=1)
    assert found[0].fitness == max(looked_at) > drawn.max() + 20
    assert len({one.identity for one in found}) == POPULATION
    assert [one.fitness for one in found] == sorted((one.fitness for one in found), reverse=True)


def test_evolution_ends_where_no_life_is_allowed():
    assert evolve(lambda genes: None, axes=3, seed=0) == []


def test_evolution_keeps_each_of_few_identities():
    found = evolve(lambda genes: Individual(genes, genes[0] < 0.5, genes[0]), axes=1, seed=0)
    assert [one.identity for one in found] == [False, True]
