"""The sampler that expects a bowl, beside what every sampler promises (test_contract.py)."""

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from search.constraints import Constraints
from search.laws import Law, Power
from search.parameters import CategoricalParameter, FloatParameter, IntParameter
from search.plan import Plan
from search.problem import SearchProblem
from search.recorded import RecordedEvaluation, RecordedRun, Recording
from search.samplers import build_sampler
from search.samplers.bowl.coordinates import APART, Axis, Coordinates
from search.samplers.bowl.outcomes import losses, standardised
from search.samplers.bowl.posterior import Posterior, _inverse
from search.samplers.bowl.prior import Rows, priors
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.simulate import simulate
from search.space import Space
from search.start import EarlierTrial, Start
from trainer.config import ProxySettings

RATES = tuple(1e-3 * 2 ** (place / 2) for place in range(12))
BATCHES = tuple(512 * 2**place for place in range(8))
SEEDS = 6


def grid(best_rate, best_batch, diverging=math.inf):
    """A bowl of 96 points; rates from ``diverging`` on fail."""
    runs = []
    for rate, batch in itertools.product(RATES, BATCHES):
        away = math.log2(rate / best_rate) ** 2 + 0.5 * math.log2(batch / best_batch) ** 2
        told = () if rate >= diverging else (RecordedEvaluation(1, (2.0 + 0.01 * away**0.9,), 1.0),)
        runs.append(RecordedRun({"learning_rate": rate, "batch_tokens": batch}, told, 1.0, not told))
    return Recording.of(runs, {"train_tokens": 10**8})


GRIDS = (grid(RATES[6], BATCHES[3]), grid(RATES[3], BATCHES[5], diverging=RATES[8]), grid(RATES[10], BATCHES[1]))


def trials_needed(recording, kind, seed, start=None):
    """Until one of the three best points is found."""
    made = problem(recording.space, kind, seed, start=start or Start())
    goal = sorted(run.evaluations[0].values[0] for run in recording.runs if not run.failed)[2]
    for count, trial in enumerate(simulate(made, recording), start=1):
        if trial.values is not None and trial.values[0] <= goal:
            return count
    raise AssertionError("every point is tried")


def problem(space, kind="bowl", seed=0, count=200, **changes):
    made = SearchProblem(
        study="study-1",
        space=space,
        objectives=(Objective(metric="validation_loss"),),
        sampler=SamplerSpec(kind=kind, seed=seed),
        scheduler=SchedulerSpec(),
        max_trial_count=count,
        parallel_trial_count=1,
        resources=Resources(),
        storage=Path("unused"),
    )
    return dataclasses.replace(made, **changes)


def mean_needed(kind, law=None):
    return np.mean(
        [
            trials_needed(recording, kind, seed, Start(law=law(recording)) if law else None)
            for recording in GRIDS
            for seed in range(SEEDS)
        ]
    )


def law_of(factor=1.0):
    """A law that knows each grid's best point, its rate multiplied."""

    def law(recording):
        best = min((run for run in recording.runs if not run.failed), key=lambda run: run.evaluations[0].values)
        rate, batch = (float(best.parameters[name]) for name in ("learning_rate", "batch_tokens"))
        return Law("known", "a test", "total_parameters", Power(factor * rate), Power(batch))

    return law


def test_it_needs_far_fewer_trials_than_random_draws():
    """Where the optimum is in the middle, off it beside diverging rates, and near a corner."""
    assert mean_needed("random") >= 2.5 * mean_needed("bowl")


def test_a_right_law_is_used_and_a_wrong_one_costs_little():
    cold = mean_needed("bowl")
    assert mean_needed("bowl", law_of()) == 1
    for factor in (0.1, 10.0):
        assert mean_needed("bowl", law_of(factor)) <= 1.5 * cold + 1


def test_the_first_point_is_where_the_optimum_is_expected():
    space = GRIDS[0].space
    for seed in range(5):
        first = build_sampler(problem(space, seed=seed)).point(0).values
        assert RATES[2] <= first["learning_rate"] <= RATES[9]
        assert BATCHES[1] <= first["batch_tokens"] <= BATCHES[6]
    law = Law("mine", "a test", "total_parameters", Power(RATES[1]), Power(BATCHES[6]))
    informed = build_sampler(problem(space, start=Start(law=law))).point(0).values
    assert informed == {"learning_rate": RATES[1], "batch_tokens": BATCHES[6]}


def test_the_first_point_of_a_continuous_space_is_the_laws():
    """The law's rate moves with the size, and the batch is the nearest choice; other axes are in their middle."""
    space = Space.build(
        {
            "depth": IntParameter(type="int", low=2, high=8),
            "learning_rate": FloatParameter(type="float", low=1e-4, high=1e-1, log=True),
            "batch_tokens": CategoricalParameter(type="categorical", choices=(8192, 512, 2048)),
        },
        {},
        Constraints(),
        ProxySettings(train_tokens=10**6),
    )
    law = Law("mine", "a test", "total_parameters", Power(3.0, size=-0.5), Power(2500.0), batch_exponent=0.5)
    first = build_sampler(problem(space, start=Start(law=law))).point(0)
    rate = 3.0 * first.attributes["total_parameters"] ** -0.5 * (2048 / 2500) ** 0.5
    assert first.values == {"depth": 5, "learning_rate": pytest.approx(rate), "batch_tokens": 2048}


def test_it_keeps_away_from_where_runs_fail():
    """Half of the rates diverge: after the first ones, few are tried again."""
    sampler, failed = build_sampler(problem(GRIDS[0].space)), []
    for outer in range(30):
        values = sampler.point(outer).values
        failed.append(values["learning_rate"] >= RATES[6])
        sampler.tell(outer, None if failed[-1] else (math.log2(values["learning_rate"] / RATES[3]) ** 2,))
    assert sum(failed[10:]) <= 4


def test_trials_that_run_are_kept_apart():
    sampler = build_sampler(problem(GRIDS[0].space))
    for outer in range(8):
        values = sampler.point(outer).values
        sampler.tell(outer, (math.log2(values["learning_rate"] / RATES[5]) ** 2,))
    running = [sampler.point(outer).values for outer in range(8, 16)]
    assert len({tuple(values.items()) for values in running}) == 8


def test_noise_does_not_mislead_it():
    """The best of 40 noisy trials lies near the optimum, though the luckiest value may not."""
    space = Space.build(
        {"learning_rate": FloatParameter(type="float", low=1e-3, high=1e-1, log=True)},
        {},
        Constraints(),
        ProxySettings(train_tokens=1000),
    )
    generator = np.random.default_rng(0)
    sampler = build_sampler(problem(space))
    rates = []
    for outer in range(40):
        rates.append(sampler.point(outer).values["learning_rate"])
        sampler.tell(outer, (math.log10(rates[-1] / 5e-3) ** 2 + generator.normal(0, 0.05),))
    late = np.abs(np.log10(np.array(rates[20:]) / 5e-3))
    assert np.median(late) < 0.3


def test_trials_of_an_earlier_study_point_to_the_optimum_whatever_their_level():
    """The earlier study was longer: its losses are all lower than any of this one."""
    recording = GRIDS[2]
    earlier = tuple(
        EarlierTrial("study-0", run.parameters, (run.evaluations[0].values[0] - 1.0,)) for run in recording.runs[::2]
    )
    warm = [trials_needed(recording, "bowl", seed, Start(earlier=earlier)) for seed in range(SEEDS)]
    cold = [trials_needed(recording, "bowl", seed) for seed in range(SEEDS)]
    assert np.mean(warm) < 0.7 * np.mean(cold)


def test_a_plan_with_earlier_trials_goes_on_as_it_would_have():
    earlier = tuple(EarlierTrial("a", run.parameters, run.evaluations[0].values) for run in GRIDS[0].runs[:5])
    made = problem(GRIDS[0].space, count=10, start=Start(earlier=earlier))
    plan, again = Plan(made, []), Plan(made, [])
    for _ in range(10):
        (trial,), (other,) = plan.start_next(), again.start_next()
        assert trial == other
        for each in (plan, again):
            each.end(trial.number, (trial.parameters["learning_rate"],))


def test_an_axis_places_numbers_by_size_and_words_apart():
    numbers = Axis("batch_tokens", CategoricalParameter(type="categorical", choices=(2048, 512, 1024)))
    assert [numbers.columns(value) for value in (512, 1024, 2048)] == [[1 / 6], [0.5], [pytest.approx(5 / 6)]]
    assert numbers.columns(100) == [1 / 6]
    words = Axis("init_scheme", CategoricalParameter(type="categorical", choices=("constant", "gpt2")))
    assert words.columns("gpt2") == [0, APART]
    assert math.dist(words.columns("gpt2"), words.columns("constant")) == pytest.approx(0.5)
    assert words.columns(None) == [APART / 2, APART / 2]


def test_a_parameter_that_does_not_exist_lies_in_the_middle():
    space = Space.build(
        {
            "init_scheme": CategoricalParameter(type="categorical", choices=("constant", "gpt2")),
            "init_std": FloatParameter(type="float", low=0.01, high=0.1),
        },
        {},
        Constraints(),
        ProxySettings(train_tokens=1000),
        {"init_std": {"init_scheme": ("constant",)}},
    )
    assert Coordinates(space, None).row({"init_scheme": "gpt2"}).tolist() == [0, APART, 0.5]
    sampler, found = build_sampler(problem(space)), []
    for outer in range(30):
        values = sampler.point(outer).values
        assert ("init_std" in values) == (values["init_scheme"] == "constant")
        found.append(values.get("init_std", 0.2))
        sampler.tell(outer, (found[-1],))
    assert min(found) < 0.012


def test_the_worst_values_are_cut_off_and_failures_are_among_them():
    values = standardised(np.array([1.0, 1.1, 1.2, 50.0, math.nan]))
    assert values[3] == values[4] == values.max()
    assert values[:3].tolist() == sorted(values[:3])
    assert standardised(np.array([math.nan, math.nan])).tolist() == [1, 1]
    assert standardised(np.array([3.0])).tolist() == [0]


def test_several_objectives_become_one_by_their_range_and_direction():
    objectives = [
        Objective(metric="validation_loss"),
        Objective(metric="decode_tokens_per_second", direction="maximize"),
    ]
    found = losses([(1.0, 100.0), (2.0, 300.0), (2.0, 100.0), None], objectives, np.array([0.5, 0.5]))
    assert math.isnan(found[3])
    assert found[2] > found[0] == pytest.approx(found[1])


def test_the_posterior_is_that_of_a_gaussian_process():
    """Against the textbook formulas, with a dense solver."""
    generator = np.random.default_rng(0)
    rows = Rows(generator.random((60, 3)), np.full((60, 1, 3), 0.5), np.zeros(60, dtype=np.int64))
    values = generator.normal(size=50)
    for prior in priors(np.array([True, True, False]), 1):
        posterior = Posterior(prior, rows, values)
        told = prior.covariance(rows[:50], rows[:50]) + np.diag(prior.noise(rows[:50]))
        residual = values - prior.mean(rows[:50])
        sign, determinant = np.linalg.slogdet(told)
        expected = -residual @ np.linalg.solve(told, residual) / 2 - determinant / 2
        assert sign == 1
        assert posterior.log_likelihood == pytest.approx(expected)
        assert np.allclose(np.diag(prior.covariance(rows, rows)), prior.variance(rows))


def test_a_triangular_matrix_is_inverted_by_halves():
    matrix = np.tril(np.random.default_rng(0).random((110, 110))) + np.eye(110)
    assert np.allclose(_inverse(matrix) @ matrix, np.eye(110))
