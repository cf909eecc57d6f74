"""What a recipe says beside its values, against a study whose truth is planted."""

import math
from dataclasses import replace

import pytest

from studies.formulas.formula import Formula
from studies.formulas.observations import FitContext, Observation
from studies.formulas.registry import fit_all
from studies.recipe import Recipe, Target, recipe_for_target
from studies.recipe.evidence import RegretCurve
from studies.recipe.judging.data_use import effective_tokens
from studies.recipe.judging.divergence import wilson
from studies.recipe.judging.regret import CURVES
from tests.recipe_study import BUDGET, DIVERGES_AT, RATES, best_rate, bowl, field_of, law, planted_trials, spec_of

SPEC = spec_of()
TRIALS = planted_trials(SPEC)
NEAR = Target(total_parameters=BUDGET, tokens=400_000)


def recipe(target: Target = NEAR, formulas: list[Formula] | None = None) -> Recipe:
    return recipe_for_target(SPEC, TRIALS, formulas or [], target)


def curve(found: Recipe, name: str) -> RegretCurve:
    return next(curve for curve in found.regrets if curve.name.endswith(name))


U_OVER_DEPTH = law(
    "depth_width",
    "",
    "level + depth_curvature * log2(depth / reference_depth) ** 2",
    {"level": 2.0, "depth_curvature": 0.02, "reference_depth": 4.0, "best_depth": 4.0},
)


class TestRegret:
    def test_every_recommended_value_has_a_curve_and_a_range(self) -> None:
        found = recipe()
        assert [curve.name for curve in found.regrets] == list(CURVES)
        ranged = {field.name for field in found.fields if field.range is not None}
        assert ranged == set(CURVES)
        for shown in found.regrets:
            assert shown.points or shown.basis.startswith("unknown: ")
            if shown.points:
                own = [point for point in shown.points if point.value == shown.recommended]
                assert [point.excess for point in own] == [pytest.approx(0.0, abs=1e-12)]

    def test_the_bowl_over_the_rate_is_the_planted_one(self) -> None:
        found = recipe()
        rate = found.config.optimization.learning_rate
        for point in curve(found, "learning_rate").points:
            x = math.log(float(point.value or 0) / rate)
            assert point.low <= point.excess <= point.high
            assert point.excess == pytest.approx(bowl(x), abs=0.15 * bowl(x) + 0.004)

    def test_the_cost_of_another_batch_is_the_planted_one(self) -> None:
        found = recipe()
        batch = found.config.optimization.batch_tokens
        for point in curve(found, "batch_tokens").points:
            truth = 0.01 * (math.log(float(point.value or 0) / 1024) ** 2 - math.log(batch / 1024) ** 2)
            assert point.excess == pytest.approx(truth, abs=0.003)

    def test_depth_and_width_cost_what_the_law_says(self) -> None:
        found = recipe(formulas=[U_OVER_DEPTH])
        assert field_of(found, ".depth").value == 4
        costs = {point.value: point.excess for point in curve(found, ".depth").points}
        assert costs[8] == costs[2] == pytest.approx(0.02)
        widths = curve(found, ".width").points
        assert max(point.excess for point in widths) == pytest.approx(0.02)
        assert len({point.value for point in widths}) == len(widths) > 2

    def test_a_maximised_objective_is_turned_round(self) -> None:
        spec = SPEC.model_copy(
            update={"objectives": (SPEC.objectives[0].model_copy(update={"direction": "maximize"}),)}
        )
        high = U_OVER_DEPTH.model_copy(update={"expression": U_OVER_DEPTH.expression.replace("+", "-")})
        found = recipe_for_target(spec, TRIALS, [high], NEAR)
        assert {point.value: point.excess for point in curve(found, ".depth").points}[8] == pytest.approx(0.02)

    def test_a_law_at_another_size_is_moved_to_the_targets_depth(self) -> None:
        target = Target(total_parameters=20 * BUDGET, tokens=10**8)
        found = recipe(target, [U_OVER_DEPTH])
        depth = field_of(found, ".depth").whole
        assert depth > 4
        costs = {point.value: point.excess for point in curve(found, ".depth").points}
        assert costs[min(costs)] > 0.01 < costs[max(costs)]
        assert "assumed" in curve(found, ".depth").basis

    def test_a_parameter_that_was_varied_beside_is_compared_in_pairs(self) -> None:
        trials = [
            replace(
                trial,
                number=trial.number + 54 * place,
                parameters={**trial.parameters, "weight_decay": decay},
                metrics={**trial.metrics, **_moved(trial.metrics, 0.05 * place)},
            )
            for place, decay in enumerate((0.1, 0.2))
            for trial in TRIALS
        ]
        found = recipe_for_target(SPEC, trials, [], NEAR)
        points = {point.value: point for point in curve(found, "weight_decay").points}
        assert points[0.2].excess == pytest.approx(0.05, abs=1e-6)
        shown = field_of(found, "weight_decay").range
        assert shown is not None
        assert (shown.low, shown.high) == (0.1, 0.1)
        assert "did not vary" in curve(recipe(), "weight_decay").basis


def _moved(metrics: dict[str, float] | object, by: float) -> dict[str, float]:
    assert isinstance(metrics, dict)
    return {"bits_per_byte": metrics["bits_per_byte"] + by} if metrics else {}


class TestRanges:
    def test_of_a_trials_rate_it_is_what_one_run_cannot_tell(self) -> None:
        found = field_of(recipe(), "learning_rate")
        assert found.range is not None
        assert found.range.low is not None
        assert found.range.high is not None
        assert found.range.low < float(found.value or 0) < found.range.high
        assert found.range.high / found.range.low < 2

    def test_of_a_law_it_is_the_laws_interval(self) -> None:
        rate = law("learning_rate_batch", "", "c * (batch_tokens / 2048) ** r", {"c": 0.004, "r": 0.5})
        found = field_of(recipe(formulas=[rate]), "learning_rate")
        assert found.source == "formula"
        assert found.range is not None
        assert found.range.low is not None
        assert found.range.high is not None
        assert found.range.low < float(found.value or 0) < found.range.high
        assert "95 % interval" in found.range.basis

    def test_of_a_published_rate_it_spans_the_published_laws(self) -> None:
        found = recipe(Target(total_parameters=1000 * BUDGET, tokens=10**10))
        rates = [beside.learning_rate for beside in found.laws if beside.learning_rate is not None]
        shown = field_of(found, "learning_rate")
        assert shown.source == "default"
        assert shown.range is not None
        assert (shown.range.low, shown.range.high) == (min(rates), max(rates))


class TestDivergence:
    def test_counts_the_runs_near_the_best_rate(self) -> None:
        risk = recipe().divergence
        assert risk is not None
        assert (risk.runs, risk.diverged, risk.share, risk.low) == (18, 0, 0.0, 0.0)
        assert risk.high == pytest.approx(0.1759, abs=1e-4)
        assert risk.nearest_diverged is not None
        assert risk.highest_stable is not None
        assert math.log(risk.nearest_diverged) == pytest.approx(DIVERGES_AT, abs=0.35)
        assert risk.highest_stable < risk.nearest_diverged

    def test_a_failure_of_another_kind_is_no_divergence(self) -> None:
        broken = [replace(trial, reason="a machine was lost") if trial.reason else trial for trial in TRIALS]
        risk = recipe_for_target(SPEC, broken, [], NEAR).divergence
        assert risk is not None
        assert risk.nearest_diverged is None

    def test_says_how_far_the_target_lies_from_the_runs(self) -> None:
        risk = recipe(Target(total_parameters=10 * BUDGET, tokens=4_000_000)).divergence
        assert risk is not None
        assert "outside the trials' total_parameters" in risk.note

    @pytest.mark.parametrize(
        ("successes", "trials", "interval"),
        [(0, 0, (0.0, 1.0)), (0, 10, (0.0, 0.2775)), (5, 10, (0.2366, 0.7634)), (10, 10, (0.7225, 1.0))],
    )
    def test_wilson(self, successes: int, trials: int, interval: tuple[float, float]) -> None:
        assert wilson(successes, trials) == pytest.approx(interval, abs=1e-4)


class TestText:
    def test_repetition_is_counted_and_warned_of(self) -> None:
        once = recipe()
        assert once.data is not None
        assert once.data.epochs == pytest.approx(0.4)
        assert not any("epochs" in warning for warning in once.warnings)
        often = recipe(Target(total_parameters=BUDGET, tokens=5_000_000))
        assert often.data is not None
        assert often.data.epochs == pytest.approx(5.0)
        assert any("5 epochs over its corpus" in warning for warning in often.warnings)

    def test_repeated_tokens_are_worth_less_and_less(self) -> None:
        worth = [effective_tokens(1e6, tokens) for tokens in (5e5, 1e6, 4e6, 1e9)]
        assert worth[:2] == [5e5, 1e6]
        assert 3.6e6 < worth[2] < 4e6
        assert worth[3] == pytest.approx(1e6 * (1 + 15.387756))

    def test_a_study_without_counts_says_so(self) -> None:
        bare = [replace(trial, attributes={**trial.attributes, "epochs": 0}) for trial in TRIALS]
        data = recipe_for_target(SPEC, bare, [], NEAR).data
        assert data is not None
        assert data.unique_tokens is None
        assert "counted" in data.basis


class TestLawsBeside:
    def test_all_of_them_are_shown(self) -> None:
        found = recipe(Target(total_parameters=10 * BUDGET, tokens=4_000_000))
        assert [beside.name for beside in found.laws] == ["this recipe", "step_law", "deepseek", "complete_p"]
        complete = found.laws[-1]
        width = found.config.architecture.width
        best = min((trial for trial in TRIALS if trial.metrics), key=lambda trial: trial.metrics["bits_per_byte"])
        expected = float(best.parameters["learning_rate"]) * float(best.parameters["width"]) / width
        assert complete.learning_rate == pytest.approx(expected)
        assert "residual branches" in complete.note

    def test_another_schedule_is_named(self) -> None:
        spec = spec_of(schedule="wsd")
        found = recipe_for_target(spec, planted_trials(spec), [], Target(total_parameters=10**9, tokens=10**10))
        assert "this recipe has wsd" in found.laws[1].note
        assert any("multi-step" in warning and "batch_tokens" in warning for warning in found.warnings)


def test_the_studys_own_laws_are_used_as_they_are_fitted() -> None:
    """End to end: fit, and take the rate of the fitted law where it is decided, else the best trial's."""
    quiet = planted_trials(SPEC, noise=0.0002)
    rows = [Observation.from_trial(trial) for trial in quiet]
    laws = fit_all(rows, FitContext(("1",), "bits_per_byte"))
    found = recipe_for_target(SPEC, quiet, laws, NEAR)
    batch = found.config.optimization.batch_tokens
    assert found.config.optimization.learning_rate == pytest.approx(best_rate(batch), rel=0.5)
    assert min(RATES) < found.config.optimization.learning_rate < max(RATES)
