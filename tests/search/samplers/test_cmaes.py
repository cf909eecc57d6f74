"""CMA-ES on told points: foreign ones do not throw it off course, and it starts anew when it has collapsed."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from search.constraints import Constraints
from search.parameters import FloatParameter, IntParameter
from search.problem import SearchProblem
from search.samplers.cmaes import CmaesSampler
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.space import Space
from trainer.config import ProxySettings

SPACE = {
    "weight_decay": FloatParameter(type="float", low=0.0, high=1.0),
    "learning_rate": FloatParameter(type="float", low=1e-3, high=1e-1, log=True),
}


@pytest.fixture
def problem():
    return SearchProblem(
        study="study-1",
        space=Space.build(SPACE, {}, Constraints(), ProxySettings(train_bytes=1000)),
        objectives=(Objective(metric="bits_per_byte"),),
        sampler=SamplerSpec(kind="cmaes"),
        scheduler=SchedulerSpec(),
        max_trial_count=500,
        parallel_trial_count=1,
        resources=Resources(),
        storage=Path("unused"),
    )


def bowl(values):
    return (values["weight_decay"] - 0.3) ** 2 + (np.log10(values["learning_rate"]) + 2.2) ** 2


def drive(sampler, outers):
    points = []
    for outer in outers:
        points.append(sampler.point(outer).values)
        sampler.tell(outer, (bowl(points[-1]),))
    return points


def test_it_converges(problem):
    last = drive(CmaesSampler(problem), range(180))[-1]
    assert last["weight_decay"] == pytest.approx(0.3, abs=0.02)
    assert last["learning_rate"] == pytest.approx(10**-2.2, rel=0.05)


def test_a_far_point_that_is_better_than_all_does_not_make_it_explode(problem):
    sampler = CmaesSampler(problem)
    drive(sampler, range(150))
    sampler.restore(-1, {"weight_decay": 1.0, "learning_rate": 0.1})
    sampler.tell(-1, (-1.0,))
    after = drive(sampler, range(150, 180))
    assert max(abs(values["weight_decay"] - 0.3) for values in after) < 0.2


def test_a_collapsed_distribution_starts_anew_elsewhere(problem):
    flat = {"depth": IntParameter(type="int", low=1, high=12)}
    made = dataclasses.replace(problem, space=Space.build(flat, {}, Constraints(), ProxySettings(train_bytes=1000)))
    sampler = CmaesSampler(made)
    depths = []
    for outer in range(400):
        depths.append(sampler.point(outer).values["depth"])
        sampler.tell(outer, (0.0,))  # nothing to learn: the range of values stays zero
    assert len(set(depths[:60])) > 1
    assert len(set(depths[-200:])) > 1, "it would stay in one place for ever"


def test_a_generation_of_failures_moves_nothing(problem):
    failed, idle = CmaesSampler(problem), CmaesSampler(problem)
    for outer in range(12):
        failed.point(outer)
        failed.tell(outer, None)
    assert failed.point(12) == idle.point(12)
