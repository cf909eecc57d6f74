import math

import numpy as np
import pytest

from studies.formulas.fitting.profiles import profile_cells
from studies.formulas.observations import FitContext, Observation, Runs, collect_runs
from studies.records import TrialState

RATES = tuple(1e-3 * 2.0**step for step in range(-3, 4))


def parabola(best, curvature=0.05, noise=0.0, rates=RATES, generator=None, seeds=1):
    generator = generator or np.random.default_rng(0)
    repeated = tuple(rate for rate in rates for _ in range(seeds))
    costs = tuple(2 + curvature * math.log(rate / best) ** 2 + noise * generator.standard_normal() for rate in repeated)
    return Runs(repeated, costs, ())


def test_exact_parabolas_give_their_vertices():
    cells = [parabola(best) for best in (0.7e-3, 1.3e-3)]
    profiles = profile_cells(cells)
    assert [math.exp(cell.log_rate) for cell in profiles.cells] == pytest.approx([0.7e-3, 1.3e-3], rel=1e-6)
    assert [cell.cost for cell in profiles.cells] == pytest.approx([2.0, 2.0])
    assert profiles.curvature == pytest.approx(0.05)


def test_three_rates_suffice_where_the_curvature_is_shared():
    cells = [parabola(best, rates=(0.5e-3, 1e-3, 2e-3)) for best in (0.8e-3, 1e-3, 1.4e-3)]
    profiles = profile_cells(cells)
    assert [math.exp(cell.log_rate) for cell in profiles.cells] == pytest.approx([0.8e-3, 1e-3, 1.4e-3], rel=1e-4)


def test_a_minimum_beyond_the_rates_is_a_bound():
    low, high, inside = profile_cells([parabola(0.05e-3), parabola(20e-3), parabola(1e-3)]).cells
    assert (low.edge, high.edge, inside.edge) == ("low", "high", "none")
    assert low.log_rate == pytest.approx(math.log(RATES[0]))
    assert high.cost > 2.0


def test_stated_errors_match_the_scatter():
    generator = np.random.default_rng(1)
    cells = [parabola(1e-3, noise=0.01, generator=generator) for _ in range(300)]
    profiles = profile_cells(cells)
    scaled = [(cell.log_rate - math.log(1e-3)) / cell.log_rate_variance**0.5 for cell in profiles.cells]
    assert 0.7 < np.std(scaled) < 1.15
    values = [(cell.cost - 2.0) / cell.cost_variance**0.5 for cell in profiles.cells]
    assert 0.7 < np.std(values) < 1.15
    assert profiles.noise == pytest.approx(0.01, rel=0.15)


def test_replicated_seeds_tell_the_noise():
    generator = np.random.default_rng(2)
    profiles = profile_cells([parabola(1e-3, noise=0.02, seeds=4, generator=generator) for _ in range(4)])
    assert profiles.noise == pytest.approx(0.02, rel=0.3)
    assert profiles.noise_df == 4 * 7 * 3


def test_an_outlier_moves_the_best_rate_little():
    generator = np.random.default_rng(3)
    cells = [parabola(1e-3, noise=0.001, generator=generator) for _ in range(6)]
    spoilt = list(cells[0].costs)
    spoilt[5] += 0.1
    moved = profile_cells([Runs(RATES, tuple(spoilt), ()), *cells[1:]]).cells[0]
    assert abs(moved.log_rate - math.log(1e-3)) < 0.35


@pytest.mark.parametrize("rates", [(1e-3,), (1e-3, 2e-3)])
def test_too_few_rates_give_no_profile(rates):
    assert profile_cells([parabola(1e-3, rates=rates)]) is None


def test_a_cell_with_two_rates_beside_others_has_none():
    profiles = profile_cells([parabola(1e-3), parabola(1e-3, rates=(1e-3, 2e-3)), parabola(2e-3)])
    assert [cell is None for cell in profiles.cells] == [False, True, False]


def test_only_completed_runs_are_fitted():
    def run(rate, state, loss):
        return Observation(0, state, {"learning_rate": rate}, {} if loss is None else {"validation_loss": loss}, {})

    rows = [
        run(1e-3, TrialState.COMPLETE, 2.0),
        run(2e-3, TrialState.COMPLETE, 2.1),
        run(4e-3, TrialState.COMPLETE, 6.9),
        run(8e-3, TrialState.FAIL, None),
        run(1e-3, TrialState.PRUNED, 3.0),
    ]
    runs = collect_runs(rows, FitContext(("s",), "validation_loss"))
    assert runs.rates == (1e-3, 2e-3)
    assert runs.diverged == (4e-3, 8e-3)
