"""RACOS on told points: equal ones and points on the edge of the cube, between which ZOOpt would look forever."""

from pathlib import Path

import pytest

from search.constraints import Constraints
from search.parameters import FloatParameter, IntParameter
from search.problem import SearchProblem
from search.samplers.zoopt import ZooptSampler
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.space import Space
from trainer.config import ProxySettings

SPACE = {
    "weight_decay": FloatParameter(type="float", low=0.0, high=1.0),
    "depth": IntParameter(type="int", low=1, high=2),
}
CORNER = {"weight_decay": 0.0, "depth": 1}


def problem(count):
    return SearchProblem(
        study="study-1",
        space=Space.build(SPACE, {}, Constraints(), ProxySettings(train_bytes=1000)),
        objectives=(Objective(metric="bits_per_byte"),),
        sampler=SamplerSpec(kind="zoopt"),
        scheduler=SchedulerSpec(),
        max_trial_count=count,
        parallel_trial_count=1,
        resources=Resources(),
        storage=Path("unused"),
    )


@pytest.mark.parametrize("count", [1, 3, 30, 200])
def test_any_budget_can_be_searched(count):
    sampler = ZooptSampler(problem(count))
    for outer in range(count):
        sampler.tell(outer, (sampler.point(outer).values["weight_decay"],))


def test_points_that_are_equal_or_on_an_edge_end_no_search():
    sampler = ZooptSampler(problem(30))
    corners = [CORNER, CORNER, {**CORNER, "weight_decay": 1.0}, {**CORNER, "depth": 2}, CORNER]
    for outer, values in enumerate(corners):
        sampler.restore(outer, values)
        sampler.tell(outer, (float(outer),))
    for outer in range(5, 30):
        sampler.tell(outer, (sampler.point(outer).values["weight_decay"],))


def test_what_failed_is_kept_out_of_the_boxes():
    sampler = ZooptSampler(problem(200))
    for outer in range(80):
        wide = sampler.point(outer).values["weight_decay"] > 0.5
        sampler.tell(outer, None if wide else (1.0,))
    assert sum(sampler.point(outer).values["weight_decay"] > 0.5 for outer in range(80, 110)) <= 6
