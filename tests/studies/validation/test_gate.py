"""The gate's verdicts on runs that are written down, and its errors on simulated ones."""

import math
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.validation.gate import Rung, Runs, judge
from studies.validation.judgement import RECIPE, TITLES, CandidateName, Judgement
from studies.validation.noise import PRIOR_DEGREES, Cell, moderated, t_quantile
from studies.validation.simulation import SCENARIOS, tally

SIZES = (1_000_000, 2_000_000, 4_000_000)
MARGIN = 0.01
NOISE = (-0.002, 0.001, 0.001)
"""Of three seeds; its mean is 0."""
OTHER = (0.001, 0.001, -0.002)
Leads = Mapping[CandidateName, float]


def runs(mean: float, noise: tuple[float, ...] = NOISE) -> Runs:
    return Runs({seed: mean + error for seed, error in enumerate(noise)})


def rung(size: int, leads: Leads) -> Rung:
    """The recipe at 2, and each rival as much worse as its lead says."""
    return Rung(size, {RECIPE: runs(2.0), **{name: runs(2.0 + lead, OTHER) for name, lead in leads.items()}})


def judged(*leads: Leads, margin: float = MARGIN, target: int | None = None) -> Judgement:
    return judge([rung(size, of) for size, of in zip(SIZES, leads, strict=False)], margin, target)


CLEAR: Leads = {"default": 0.1, "half_rate": 0.02, "double_rate": 0.03}


def test_a_recipe_that_beats_every_rival_passes() -> None:
    found = judged(CLEAR, CLEAR, CLEAR)
    assert found.verdict == "passed"
    assert found.regret is not None
    assert found.regret.estimate == pytest.approx(-0.02)
    assert found.regret.low < found.regret.estimate < found.regret.high < 0
    assert found.rungs[-1].best_rival == "half_rate"
    assert {difference.sign for one in found.rungs for difference in one.differences} == {"better"}
    assert found.seeds_needed is None


def test_a_clear_regret_at_the_largest_size_fails() -> None:
    found = judged(CLEAR, CLEAR, {**CLEAR, "half_rate": -0.05})
    assert found.verdict == "failed"
    assert found.rungs[-1].best_rival == "half_rate"
    assert "above the margin" in found.reasons[0]


def test_what_lies_around_the_margin_is_undecided_and_says_how_many_seeds_would_decide() -> None:
    found = judged(CLEAR, CLEAR, {**CLEAR, "half_rate": -0.007})
    assert found.verdict == "undecided"
    assert found.seeds_needed is not None
    assert found.seeds_needed > 3
    assert f"about {found.seeds_needed} seeds" in found.reasons[1]


def test_the_nearer_to_the_margin_the_more_seeds_are_needed() -> None:
    needed = [judged(CLEAR, CLEAR, {**CLEAR, "half_rate": -regret}).seeds_needed for regret in (0.007, 0.008, 0.0095)]
    assert needed == sorted(needed, key=lambda seeds: seeds or math.inf)
    assert needed[0] != needed[-1]
    at_it = judged(CLEAR, CLEAR, {**CLEAR, "half_rate": -MARGIN})
    assert at_it.seeds_needed is None
    assert "would not decide" in at_it.reasons[1]


def test_with_the_seeds_that_it_names_the_same_differences_are_decided() -> None:
    leads = {**CLEAR, "half_rate": -0.007}
    needed = judged(leads, leads, leads).seeds_needed
    assert needed is not None
    repeats = math.ceil(needed / 3)
    many = {RECIPE: runs(2.0, NOISE * repeats), **{n: runs(2.0 + lead, OTHER * repeats) for n, lead in leads.items()}}
    assert judge([Rung(size, many) for size in SIZES], MARGIN, None).verdict == "passed"


def test_a_rival_that_changes_sides_beyond_noise_blocks_a_pass() -> None:
    found = judged(CLEAR, CLEAR, {**CLEAR, "half_rate": -0.02}, margin=0.1)
    assert found.verdict == "undecided"
    (trend,) = [trend for trend in found.trends if not trend.stable]
    assert trend.rival == "half_rate"
    assert "better at 1,000,000 and better at 2,000,000 and worse at 4,000,000" in found.reasons[0]


def test_a_difference_within_noise_changes_no_side() -> None:
    found = judged(CLEAR, CLEAR, {**CLEAR, "half_rate": -0.001})
    assert found.verdict == "passed"
    assert all(trend.stable for trend in found.trends)


GROWING = tuple({**CLEAR, "half_rate": lead} for lead in (0.04, 0.02, 0.0))


def test_a_regret_that_grows_beyond_the_margin_at_the_target_blocks_a_pass() -> None:
    assert judged(*GROWING).verdict == "passed"
    found = judged(*GROWING, target=64_000_000)
    assert found.verdict == "undecided"
    assert found.regret_at_target is not None
    assert found.regret_at_target.estimate == pytest.approx(0.08, abs=1e-6)
    (trend,) = [trend for trend in found.trends if trend.growing]
    assert trend.rival == "half_rate"
    assert trend.per_doubling is not None
    assert trend.per_doubling.estimate == pytest.approx(0.02, abs=1e-6)


def test_a_lead_that_shrinks_but_stays_clear_does_not_block() -> None:
    found = judged(*({**CLEAR, "default": lead} for lead in (0.3, 0.2, 0.1)), target=10**9)
    assert found.verdict == "passed"
    assert not any(trend.growing for trend in found.trends)


def test_a_recipe_that_diverges_fails_at_any_size() -> None:
    first = Rung(SIZES[0], {**rung(SIZES[0], CLEAR).runs, RECIPE: Runs({0: 2.0, 1: 2.0}, diverged=1)})
    found = judge([first, rung(SIZES[1], CLEAR), rung(SIZES[2], CLEAR)], MARGIN, None)
    assert (found.verdict, found.seeds_needed) == ("failed", None)
    assert "diverged at 1,000,000 parameters, on 1 of 3 seeds" in found.reasons[0]


def test_a_rival_that_diverges_on_every_seed_is_beaten() -> None:
    rungs = [Rung(size, {**rung(size, CLEAR).runs, "double_rate": Runs({}, diverged=3)}) for size in SIZES]
    found = judge(rungs, MARGIN, None)
    assert found.verdict == "passed"
    assert {difference.rival for difference in found.rungs[-1].differences} == {"default", "half_rate"}


@pytest.mark.parametrize("name", [RECIPE, "half_rate"])
def test_what_is_missing_is_named_and_decides_nothing(name: CandidateName) -> None:
    last = Rung(SIZES[2], {**rung(SIZES[2], CLEAR).runs, name: Runs({}, missing=3)})
    found = judge([rung(SIZES[0], CLEAR), rung(SIZES[1], CLEAR), last], MARGIN, None)
    assert found.verdict == "undecided"
    assert any(reason.startswith(f"{TITLES[name]} has no value") for reason in found.reasons)


def test_two_sizes_are_too_few() -> None:
    found = judged(CLEAR, CLEAR)
    assert (found.verdict, found.reasons[0]) == ("undecided", "2 sizes are fewer than 3")


def test_nothing_trained_is_undecided() -> None:
    empty = [Rung(size, {RECIPE: Runs({}, missing=3), "half_rate": Runs({}, missing=3)}) for size in SIZES]
    found = judge(empty, MARGIN, 10**9)
    assert (found.verdict, found.regret, found.noise) == ("undecided", None, None)


@settings(max_examples=25)
@given(
    st.lists(st.floats(-1, 1), min_size=9, max_size=9),
    st.lists(st.floats(-0.05, 0.05), min_size=3, max_size=3),
)
def test_what_runs_of_a_seed_share_changes_nothing(shared: list[float], leads: list[float]) -> None:
    """Order of the data, a hard validation set: it cancels in paired differences."""
    plain, moved = [], []
    for place, size in enumerate(SIZES):
        own = rung(size, {**CLEAR, "half_rate": leads[place]})
        plain.append(own)
        shift = shared[3 * place : 3 * place + 3]
        moved.append(
            Rung(size, {name: Runs({s: v + shift[s] for s, v in one.values.items()}) for name, one in own.runs.items()})
        )
    first, second = judge(plain, MARGIN, None), judge(moved, MARGIN, None)
    assert first.regret is not None
    assert second.regret is not None
    assert second.regret.high == pytest.approx(first.regret.high, abs=1e-9)
    assert second.regret.low == pytest.approx(first.regret.low, abs=1e-9)


def test_a_bound_over_equal_noise_is_that_of_students_t() -> None:
    """Where every cell has the same variance, that is the moderated one, with the prior's degrees of freedom added."""
    cells = {(place, rival): Cell((0.0, 1.0, 2.0)) for place in range(3) for rival in ("a", "b")}
    one = moderated(cells)[0, "a"]
    assert one.mean == 1
    assert one.error == pytest.approx(math.sqrt(1 / 3))
    assert one.upper(0.95) == pytest.approx(1 + t_quantile(0.95, 2 + PRIOR_DEGREES) * math.sqrt(1 / 3))
    assert t_quantile(0.95, 4) == pytest.approx(2.131847, abs=1e-6)


def test_a_noisy_neighbour_widens_a_quiet_cell() -> None:
    quiet = {(place, rival): Cell((0.0, 1.0, 2.0)) for place in range(3) for rival in ("a", "b")}
    noisy = {**quiet, (2, "b"): Cell((0.0, 5.0, 10.0))}
    assert moderated(noisy)[2, "a"].error > moderated(quiet)[2, "a"].error
    assert moderated(noisy)[0, "a"].error == moderated(quiet)[0, "a"].error


BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
VALIDATIONS = 150
FALSE_SLACK = 0.036
"""Two standard errors of a share of 0.05 over 150 validations; the long form is benchmarks/validation_gate.py."""


@pytest.mark.parametrize(
    ("name", "decided"),
    [
        ("recipe best by 0.005 against lr / 2", 0.8),
        ("regret 0.03", 0.75),
        ("regret at the margin", 0.9),
        ("at the margin, noise grows to 2x", 0.9),
        ("at the margin, that rival 3x noisier", 0.9),
        ("best rate moves through the recipe: lr / 2 from 0.04 worse to 0.009 better", 0.95),
    ],
)
def test_errors_and_power_on_simulated_validations(name: str, decided: float) -> None:
    found = tally(BY_NAME[name], VALIDATIONS, seed=1)
    assert found.false_passes <= 0.05 + FALSE_SLACK
    assert found.false_failures <= 0.05 + FALSE_SLACK
    assert found.covered >= 0.95 - FALSE_SLACK
    assert found.decided >= decided
