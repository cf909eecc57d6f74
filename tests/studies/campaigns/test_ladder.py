"""The ladder's verdicts: true in simulation, and what becomes of lost runs and of steps that changed nothing."""

import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.campaigns.judgement import PAPER_SCORES
from studies.campaigns.ladder import RungRuns, judge_ladder

LABELS = ("baseline", "+ tokenizer", "+ architecture", "+ inheritance", "+ rounds")
LADDERS = 300
FALSE_SLACK = 0.025
"""Two standard errors of a share of 0.05 over 300 ladders."""

Noise = Callable[[int, random.Random], float]
NOISES: dict[str, Noise] = {
    "normal": lambda place, rng: rng.gauss(0, 0.01),
    "growing along the ladder": lambda place, rng: rng.gauss(0, 0.01 * (1 + place)),
    "skewed": lambda place, rng: rng.expovariate(100),
    "heavy tails": lambda place, rng: rng.gauss(0, 0.01) / (rng.gammavariate(1.5, 2) / 3) ** 0.5,
}


def planted(effects, seeds, noise, rng):
    """A ladder whose rungs differ by ``effects``, with noise of the seed that they share and noise of their own."""
    common = [rng.gauss(0, 0.02) for _ in range(seeds)]
    return [
        RungRuns(label, {seed: 2 + effect + common[seed] + noise(place, rng) for seed in range(seeds)})
        for place, (label, effect) in enumerate(zip(LABELS, effects, strict=False))
    ]


def differences(judgement):
    return [found for rung in judgement.rungs for found in (rung.step, rung.from_baseline) if found is not None]


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("seeds", [4, 8])
def test_equal_rungs_are_seldom_told_apart(noise, seeds):
    rng = random.Random(1)
    ladders = [judge_ladder(planted([0] * 5, seeds, NOISES[noise], rng), finished=True) for _ in range(LADDERS)]
    decided = sum(any(found.verdict != "undetermined" for found in differences(ladder)) for ladder in ladders)
    assert decided / LADDERS <= 0.05 + FALSE_SLACK


def test_where_only_some_steps_bring_something_the_others_are_seldom_said_to():
    rng, effects = random.Random(2), (0, -0.05, -0.05, -0.05, -0.1)
    ladders = [judge_ladder(planted(effects, 8, NOISES["normal"], rng), finished=True) for _ in range(LADDERS)]
    truth = [later - before for before, later in itertools.pairwise(effects)]
    wrong = found = covered = 0
    for ladder in ladders:
        steps = [rung.step for rung in ladder.rungs[1:]]
        pairs = list(zip(steps, truth, strict=True))
        wrong += any(step.verdict == "worse" or (step.verdict == "improved" and not effect) for step, effect in pairs)
        found += sum(step.verdict == "improved" for step, effect in pairs if effect)
        covered += all(step.difference.low <= effect <= step.difference.high for step, effect in pairs)
    assert wrong / LADDERS <= 0.05 + FALSE_SLACK
    assert found / (2 * LADDERS) > 0.95
    assert covered / LADDERS >= 0.95 - FALSE_SLACK


def test_the_paper_s_order_is_seldom_decided_where_all_steps_bring_the_same():
    rng = random.Random(3)
    ladders = [
        judge_ladder(planted((0, -0.1, -0.2, -0.3, -0.4), 8, NOISES["normal"], rng), True) for _ in range(LADDERS)
    ]
    decided = sum(any(order.verdict != "undetermined" for order in ladder.orders) for ladder in ladders)
    assert decided / LADDERS <= 0.05 + FALSE_SLACK


def test_the_paper_s_steps_stand_beside_ours_by_sign_and_order_only():
    scores = [-0.1 * (score - 42.41) for score in PAPER_SCORES.values()]
    judged = judge_ladder(planted(scores, 8, NOISES["normal"], random.Random(4)), finished=True)
    assert [rung.paper_score for rung in judged.rungs] == [42.41, 44.11, 46.53, 49.79, 51.28]
    assert [rung.paper_sign for rung in judged.rungs] == [None, "same", "same", "same", "same"]
    assert [(order.larger, order.smaller) for order in judged.orders] == [
        ("+ inheritance", "+ architecture"),
        ("+ architecture", "+ tokenizer"),
        ("+ tokenizer", "+ rounds"),
    ]
    assert judged.orders[0].verdict == "as_in_the_paper"
    against = judge_ladder(planted([-value for value in scores], 8, NOISES["normal"], random.Random(4)), finished=True)
    assert {rung.paper_sign for rung in against.rungs[1:]} == {"opposite"}
    assert against.orders[0].verdict == "the_other_way"


def test_a_rung_of_another_name_has_no_figure_of_the_paper():
    rungs = [RungRuns("baseline", {1: 2.0, 2: 2.1}), RungRuns("+ batch and rate", {1: 1.9, 2: 2.0})]
    judged = judge_ladder(rungs, finished=True)
    assert (judged.rungs[1].paper_score, judged.rungs[1].paper_sign, judged.orders) == (None, None, ())


def test_a_step_that_adopted_nothing_is_the_rung_before_and_is_no_test():
    rungs = planted((0, -0.1, -0.1, -0.3), 8, NOISES["normal"], random.Random(5))
    rungs[2] = RungRuns(rungs[2].label, rungs[1].values, same_as_before=True)
    judged = judge_ladder(rungs, finished=True)
    assert [rung.step.verdict for rung in judged.rungs[1:]] == ["improved", "same", "improved"]
    assert judged.rungs[2].step.difference is None
    assert judged.rungs[2].from_baseline == judged.rungs[1].from_baseline
    assert judged.rungs[2].paper_sign is None
    assert judged.tests == 3
    assert judged.remarks == ("+ architecture: nothing was adopted, so that it is the rung before and has its runs",)
    first = judge_ladder([rungs[0], RungRuns("+ tokenizer", rungs[0].values, same_as_before=True)], finished=True)
    assert (first.rungs[1].step.verdict, first.rungs[1].from_baseline.verdict, first.tests) == ("same", "same", 0)


def test_there_is_no_verdict_before_every_run_has_ended():
    judged = judge_ladder(planted((0, -0.1), 8, NOISES["normal"], random.Random(6)), finished=False)
    step = judged.rungs[1].step
    assert step.difference is not None
    assert (step.verdict, step.reasons, judged.rungs[1].paper_sign) == (None, (), None)


def test_a_lost_seed_is_left_out_of_its_pairs():
    values = {seed: 2 + 0.01 * seed for seed in range(8)}
    better = {seed: value - 0.05 + 0.001 * (seed % 2) for seed, value in values.items() if seed > 1}
    judged = judge_ladder([RungRuns("baseline", values), RungRuns("+ tokenizer", better, missing=2)], finished=True)
    assert judged.rungs[1].step.pairs == 6
    assert judged.rungs[1].step.difference.estimate == pytest.approx(-0.0495)
    assert judged.rungs[1].step.verdict == "improved"
    assert "2 have no value; a lost seed is left out of every pair" in judged.remarks[0]


def test_a_rung_that_diverged_has_not_won_by_the_seeds_that_are_left():
    values = {seed: 2 + 0.01 * seed for seed in range(8)}
    left = {seed: value - 0.05 + 0.001 * (seed % 2) for seed, value in values.items() if seed > 1}
    lost = RungRuns("+ tokenizer", left, diverged=frozenset({0, 1}))
    step = judge_ladder([RungRuns("baseline", values), lost], finished=True).rungs[1].step
    assert (step.verdict, step.seeds_needed) == ("undetermined", None)
    assert "2 of its runs diverged where baseline did not" in step.reasons[0]
    turned = judge_ladder([lost, RungRuns("baseline", values)], finished=True).rungs[1].step
    assert turned.verdict == "undetermined"


def test_a_rung_of_which_every_run_diverged_is_worse():
    values = {seed: 2 + 0.01 * seed for seed in range(8)}
    lost = RungRuns("+ tokenizer", {}, diverged=frozenset(range(8)))
    judged = judge_ladder([RungRuns("baseline", values), lost, RungRuns("+ architecture", values)], finished=True)
    assert [rung.step.verdict for rung in judged.rungs[1:]] == ["worse", "improved"]
    assert judged.rungs[1].mean is None
    assert judged.rungs[2].from_baseline.verdict == "undetermined"


def test_an_open_step_says_how_many_seeds_would_decide():
    rungs = planted((0, -0.005), 8, NOISES["normal"], random.Random(8))
    step = judge_ladder(rungs, finished=True).rungs[1].step
    assert step.verdict == "undetermined"
    assert step.seeds_needed > 8
    assert f"about {step.seeds_needed} seeds would decide, instead of 8" in step.reasons[0]
    few = judge_ladder([RungRuns(rung.label, {1: 2.0, 2: 2.1}) for rung in rungs], finished=True).rungs[1].step
    assert (few.difference, few.reasons) == (None, ("2 seeds in common are fewer than 3",))


def test_the_number_of_seeds_that_is_said_decides_in_four_of_five_ladders():
    rng = random.Random(9)
    seen = RungRuns("baseline", dict.fromkeys(range(6), 2.0))
    offsets = (0.012, -0.012, 0.008, -0.008, 0.004, -0.004)
    step = judge_ladder([seen, RungRuns("+ rounds", {n: 1.994 + d for n, d in enumerate(offsets)})], True).rungs[1].step
    deviation = (sum(offset**2 for offset in offsets) / 5) ** 0.5
    decided = 0
    for _ in range(LADDERS):
        drawn = {seed: 1.994 + rng.gauss(0, deviation) for seed in range(step.seeds_needed)}
        rungs = [RungRuns("baseline", dict.fromkeys(drawn, 2.0)), RungRuns("+ rounds", drawn)]
        decided += judge_ladder(rungs, finished=True).rungs[1].step.verdict == "improved"
    assert 0.7 < decided / LADDERS < 0.95


@given(
    st.lists(st.lists(st.floats(0.5, 8), min_size=3, max_size=6), min_size=2, max_size=5),
    st.floats(-1, 1),
)
def test_differences_do_not_depend_on_what_all_rungs_share(values, shift):
    def ladder(offset):
        rungs = [
            RungRuns(f"rung {place}", {seed: value + offset for seed, value in enumerate(row)})
            for place, row in enumerate(values)
        ]
        return judge_ladder(rungs, finished=True)

    for one, other in zip(differences(ladder(0.0)), differences(ladder(shift)), strict=True):
        assert one.difference.estimate == pytest.approx(other.difference.estimate, abs=1e-9)
        assert one.difference.low <= one.difference.estimate <= one.difference.high
