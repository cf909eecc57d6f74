"""Stopping rules, without Ray."""

import random
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.constraints import Constraints
from search.parameters import FloatParameter
from search.problem import PastTrial, SearchProblem
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.space import Space
from search.stopping import Asha, Hyperband, Never, stopping_rule
from search.stopping.curves import Curves
from search.stopping.halving import bracket_sizes, rungs
from search.stopping.past import at_full_length, informed_rule, made_evaluations
from trainer.config import ProxySettings

LOSSES = st.lists(
    st.lists(st.floats(1, 10, allow_nan=False), min_size=9, max_size=9), min_size=1, max_size=40
)  # of trials, at nine evaluations


def run(rule, losses, order=None):
    """Report the trials' losses one after the other, or in the given order of numbers, until they are stopped."""
    stopped, reached = {}, Counter()
    for number in [each for each in range(len(losses)) for _ in range(rule.last)] if order is None else order:
        if number in stopped or reached[number] == rule.last:
            continue
        reached[number] += 1
        reason = rule.report(number, reached[number], losses[number][reached[number] - 1])
        if reason is not None:
            stopped[number] = reached[number], reason
    return stopped


def test_rungs_are_evaluations_before_the_last_one():
    assert rungs(9, 3, 1) == (1, 3)
    assert rungs(10, 3, 1) == (1, 3, 9)
    assert rungs(16, 2, 3) == (3, 6, 12)
    assert rungs(4, 3, 4) == ()


@given(LOSSES, st.integers(2, 4), st.integers(1, 3))
def test_asha_lets_on_the_best_share_of_those_that_came_so_far(losses, factor, grace):
    rule = Asha(9, factor, grace)
    stopped = run(rule, losses)
    seen = {rung: [] for rung in rule.evaluations}
    for number, curve in enumerate(losses):
        for rung in rule.evaluations:
            seen[rung].append(curve[rung - 1])
            better = sum(other < curve[rung - 1] for other in seen[rung])
            goes_on = better < max(1, len(seen[rung]) // factor)
            assert goes_on == (stopped.get(number, (None,))[0] != rung)
            if not goes_on:
                break
    assert {reached for reached, _ in stopped.values()} <= set(rule.evaluations)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_asha_lets_on_a_share_of_trials_in_random_order(factor):
    """The share of 1/eta holds for each that comes; records at the beginning add their logarithm."""
    draws, rule = random.Random(1), Asha(9, factor, 1)
    on = [rule.report(number, 1, draws.random()) is None for number in range(1000)]
    assert sum(on) == pytest.approx(1000 / factor, abs=60)


@given(LOSSES, st.floats(0.1, 5), st.floats(-3, 3))
def test_asha_compares_ranks_only(losses, scale, shift):
    moved = [
        [scale * loss + shift for loss in curve] for curve in [[round(loss, 1) for loss in each] for each in losses]
    ]
    plain = [[round(loss, 1) for loss in each] for each in losses]
    assert {number: at for number, (at, _) in run(Asha(9, 3, 1), plain).items()} == {
        number: at for number, (at, _) in run(Asha(9, 3, 1), moved).items()
    }


@given(LOSSES, st.floats(0, 1))
def test_a_better_loss_never_stops_a_trial_that_went_on(losses, gain):
    """Monotone in the trial's own losses, the others being what they are."""
    last = len(losses) - 1
    for cls in (lambda: Asha(9, 3, 1), lambda: Hyperband(9, 3, 1, seed=5)):
        before = run(cls(), losses)
        after = run(cls(), [*losses[:-1], [loss - gain for loss in losses[-1]]])
        if last in after:
            assert last in before
            assert before[last][0] <= after[last][0]


RULES = [
    SchedulerSpec(kind="asha", reduction_factor=2),
    SchedulerSpec(kind="hyperband"),
    SchedulerSpec(kind="curve", least_chance=0.3),
    SchedulerSpec(kind="none"),
]


def curves(count, seed, last=9):
    draws = random.Random(seed)
    found = []
    for _ in range(count):
        end, drop, exponent = draws.gauss(3, 0.1), draws.uniform(0.1, 0.5), draws.uniform(0.3, 0.6)
        found.append(
            [end + drop * ((each / last) ** -exponent - 1) + draws.gauss(0, 0.003) for each in range(1, last + 1)]
        )
    return found


@pytest.mark.parametrize("spec", RULES, ids=lambda spec: spec.kind)
@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_a_search_that_goes_on_decides_as_if_it_had_never_stopped(spec, seed):
    """Whatever the trials that run side by side reported, and in what order the rows list it."""
    draws = random.Random(seed)
    losses = curves(24, seed)
    order = [number for first in range(0, 24, 3) for number in range(first, first + 3) for _ in range(9)]
    for first in range(0, len(order), 27):
        chunk = order[first : first + 27]
        draws.shuffle(chunk)
        order[first : first + 27] = chunk
    whole, resumed = stopping_rule(spec, 9, seed=1), stopping_rule(spec, 9, seed=1)
    reports, reached, told = [], Counter(), {}
    cut = draws.randrange(len(order))
    for place, number in enumerate(order):
        if place == cut:
            for earlier in sorted(reports):  # as rows are read: by number and evaluation
                resumed.report(*earlier)
        if number in told or reached[number] == 9:
            continue
        reached[number] += 1
        reports.append((number, reached[number], losses[number][reached[number] - 1]))
        answer = whole.report(*reports[-1])
        if place >= cut:
            assert resumed.report(*reports[-1]) == answer
        if answer is not None:
            told[number] = answer
    assert bool(told) == (spec.kind != "none")


@pytest.mark.parametrize("spec", RULES[:3], ids=lambda spec: spec.kind)
def test_a_repeated_report_counts_once(spec):
    losses = curves(24, 3)
    once, twice = stopping_rule(spec, 9, 0), stopping_rule(spec, 9, 0)
    for number, curve in enumerate(losses):
        for evaluation, loss in enumerate(curve, start=1):
            twice.report(number, evaluation, loss)
            assert once.report(number, evaluation, loss) == twice.report(number, evaluation, loss)


@given(st.integers(1, 9), st.floats(1, 10), st.floats(1, 10))
def test_rungs_never_compare_different_evaluations(evaluation, low, high):
    """The worst loss at one evaluation goes on, whatever was reported at the others."""
    rule = Asha(10, 2, 1)
    for number in range(20):
        for other in range(1, 10):
            if other != evaluation:
                rule.curves.add(number, other, 0.0)
    assert rule.report(99, evaluation, max(low, high)) is None


def test_hyperband_has_the_papers_brackets():
    """Table 1 of arXiv 1603.06560: R = 81, eta = 3 gives 81, 27 (the table's; the formula 34), 9 (15), 6 (8), 5."""
    assert bracket_sizes(4, 3) == [81, 34, 15, 8, 5]
    assert bracket_sizes(2, 3) == [9, 5, 3]


@given(st.integers(0, 2**32 - 1), st.integers(0, 50))
def test_brackets_follow_from_the_seed_and_the_number(seed, index):
    one, other = Hyperband(9, 3, 1, seed), Hyperband(9, 3, 1, seed)
    numbers = list(range(index * 17, (index + 1) * 17))
    found = [one.bracket(number) for number in numbers]
    assert Counter(found) == {0: 9, 1: 5, 2: 3}
    assert [other.bracket(number) for number in reversed(numbers)] == found[::-1]


def test_brackets_differ_between_seeds_and_rounds():
    rule, other = Hyperband(9, 3, 1, 0), Hyperband(9, 3, 1, 1)
    first, second = ([rule.bracket(number) for number in range(at, at + 17)] for at in (0, 17))
    assert first != second
    assert first != [other.bracket(number) for number in range(17)]


@given(LOSSES)
def test_trials_of_different_brackets_are_not_compared(losses):
    rule = Hyperband(9, 3, 1, seed=2)
    stopped = run(rule, losses)
    for bracket in range(3):
        members = [number for number in range(len(losses)) if rule.bracket(number) == bracket]
        alone = Asha(9, 3, 3**bracket)
        answers = run(alone, losses, [number for number in members for _ in range(9)])
        assert {number: at for number, (at, _) in stopped.items() if number in members} == {
            number: at for number, (at, _) in answers.items()
        }


def test_the_last_bracket_stops_nothing():
    rule = Hyperband(9, 3, 1, seed=0)
    last = [number for number in range(170) if rule.bracket(number) == 2]
    stopped = run(rule, [[float(number + 1)] * 9 for number in range(170)])
    assert last
    assert not set(last) & set(stopped)


def test_a_reason_names_the_rung_and_the_place():
    rule = Asha(9, 3, 1)
    for number in range(3):
        assert rule.report(number, 1, 3.0 - number) is None
    assert rule.report(3, 1, 2.5) == "rung 1 (evaluation 1 of 9): place 3 of 4, not among the best 1/3"


def test_ray_lets_on_whom_the_paper_does_and_more():
    """Ray's rule leaves the trial itself out of the share and interpolates: no trial of ours is one that it stops."""
    from ray.tune.schedulers import AsyncHyperBandScheduler

    draws = random.Random(0)
    for factor in (2, 3, 4):
        theirs = AsyncHyperBandScheduler("at", "loss", "min", max_t=9, grace_period=1, reduction_factor=factor)
        ours, on = Asha(9, factor, 1), Counter()
        for number in range(300):
            trial = SimpleNamespace(trial_id=str(number))
            theirs.on_trial_add(None, trial)
            loss = draws.gauss(0, 1)
            goes_on = ours.report(number, 1, loss) is None
            theirs_goes_on = theirs.on_trial_result(None, trial, {"at": 1, "loss": loss}) == "CONTINUE"
            assert theirs_goes_on or not goes_on
            on.update(ours=goes_on, ray=theirs_goes_on)
        assert on["ours"] <= on["ray"] <= on["ours"] + 20


def test_never_stops_nothing():
    rule = Never(3)
    assert rule.evaluations == ()
    assert not run(rule, [[9.0 + number] * 3 for number in range(10)])


def test_a_stopped_trial_is_worth_what_it_would_have_reached():
    """Its last loss less the median of what finished trials gained from there on, and no better than the best."""
    told = Curves(last=4)
    assert told.finals == {}
    told.add(9, 1, 5.0)
    assert told.expected_final(9) == 5.0
    for number, (early, end) in enumerate([(4.0, 3.0), (4.2, 3.1), (4.4, 2.4)]):
        told.add(number, 1, early)
        told.add(number, 4, end)
    assert told.expected_final(9) == pytest.approx(5.0 - 1.1)
    told.add(8, 1, 3.0)
    assert told.expected_final(8) == 2.4
    told.add(7, 1, 4.5)
    told.add(7, 2, 4.1)
    assert told.expected_final(7) == 4.1  # nobody finished has that evaluation


def test_who_was_stopped_later_is_not_worth_more_for_it():
    """At equal quality, trials that were stopped at different evaluations are told about the same."""
    told = Curves(last=9)
    losses = curves(40, seed=1)
    for number, curve in enumerate(losses[:20]):
        for evaluation, loss in enumerate(curve, start=1):
            told.add(number, evaluation, loss)
    errors = {1: [], 3: []}
    for number, curve in enumerate(losses[20:], start=20):
        stopped = 1 if number % 2 else 3
        for evaluation in range(1, stopped + 1):
            told.add(number, evaluation, curve[evaluation - 1])
        errors[stopped].append(told.expected_final(number) - curve[-1])
    means = {stopped: sum(found) / len(found) for stopped, found in errors.items()}
    gained = sum(curve[0] - curve[2] for curve in losses) / len(losses)
    assert abs(means[1] - means[3]) < 0.5 * gained


def problem(**proxy):
    settings = ProxySettings(train_bytes=1000, evaluations=9, **proxy)
    space = Space.build(
        {"learning_rate": FloatParameter(type="float", low=1e-3, high=1e-1)}, {}, Constraints(), settings
    )
    return SearchProblem(
        study="study-1",
        space=space,
        objectives=(Objective(metric="bits_per_byte"),),
        sampler=SamplerSpec(kind="random"),
        scheduler=SchedulerSpec(kind="asha"),
        max_trial_count=10,
        parallel_trial_count=1,
        resources=Resources(),
        storage=Path("/nowhere"),
    )


def past(number, state, evaluations, **attributes):
    values = (evaluations[-1],) if state in ("COMPLETE", "PRUNED") else None
    return PastTrial(number, {"learning_rate": 0.01}, attributes, state, values, tuple(evaluations))


@pytest.mark.parametrize(
    ("proxy", "numbers"),
    [({"schedule": "wsd", "annealed_evaluations": (1, 3)}, (1, 3, 9)), ({}, tuple(range(1, 10)))],
)
def test_stored_losses_are_those_of_the_evaluations_that_were_made(proxy, numbers):
    history = [past(0, "COMPLETE", [5.0 - place for place in range(len(numbers))])]
    history += [past(1, "PRUNED", [6.0]), past(2, "RUNNING", [5.5]), past(3, "COMPLETE", [1.0] * 9, origin="replicate")]
    rule = informed_rule(problem(**proxy), history)
    assert made_evaluations(problem(**proxy)) == numbers
    assert rule.curves.of(0) == {number: 5.0 - place for place, number in enumerate(numbers)}
    assert rule.curves.at(1) == {0: 5.0, 1: 6.0, 2: 5.5}
    assert set(rule.curves.finals) == {0}


def test_a_search_that_goes_on_tells_its_sampler_what_pruned_trials_would_have_reached():
    made = problem(schedule="wsd", annealed_evaluations=(1, 3))
    history = [past(0, "COMPLETE", [5.0, 4.0, 3.0]), past(1, "PRUNED", [6.0]), past(2, "PRUNED", [5.5, 4.5])]
    told = at_full_length(history, informed_rule(made, history))
    assert [trial.values for trial in told] == [(3.0,), (4.0,), (3.5,)]
    assert [trial.evaluations for trial in told] == [trial.evaluations for trial in history]
