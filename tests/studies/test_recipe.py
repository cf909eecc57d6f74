from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.counts import count_parameters
from model.errors import InvalidInput
from search.events import Value
from search.space import Space
from studies.formulas.depth_width.law import fit_depth_width
from studies.formulas.evaluation import evaluate
from studies.formulas.formula import Coefficient, Formula, Verdict
from studies.formulas.learning_rate_batch.law import fit_learning_rate_batch
from studies.formulas.learning_rate_batch.principal import POWER
from studies.formulas.observations import FitContext, Observation
from studies.formulas.regimes import by_regime
from studies.formulas.registry import fit_all
from studies.formulas.simulation.planted import (
    DepthPlan,
    RateBatchPlan,
    bowl_over_depth,
    plant_depth_width,
    plant_rate_batch,
)
from studies.recipe import Recipe, RecipeField, Target, leaves, recipe_for_target, recipe_from_trial
from studies.recipe.laws import DECIDED
from studies.records import Trial, TrialState
from studies.spec import StudySpec
from trainer.plan import plan_run

UNDECIDED: tuple[Verdict, ...] = ("undetermined", "exploratory", "interim")
BUDGET = 1_000_000


def study(**proxy: Any) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "planted",
            "space": {
                "depth": {"type": "categorical", "choices": [2, 4, 8]},
                "batch_tokens": {"type": "categorical", "choices": [1024, 2048, 4096]},
            },
            "inner": {"learning_rate": [2e-3, 4e-3, 8e-3]},
            "constraints": {"total_parameters": {"target": BUDGET}},
            "proxy": {"train_tokens": 400_000, "sequence_length": 256, "vocabulary_size": 512, **proxy},
            "max_trial_count": 27,
        }
    )


def trials(spec: StudySpec, best: int = 4, state: TrialState = TrialState.COMPLETE) -> list[Trial]:
    """The grid of the study; trial ``best`` has the lowest bits per byte."""
    space = Space.build(spec.space, spec.inner, spec.constraints, spec.proxy)
    made = []
    for number in range(27):
        outer, inner = divmod(number, 3)
        point = space.trial(space.grid_point(outer).values, inner)
        metrics = {
            "bits_per_byte": 2.0 + abs(number - best) / 100,
            "total_parameters": float(point.attributes["total_parameters"]),
            "train_tokens": 400_000.0,
        }
        made.append(Trial(number, state, point.values, metrics, point.attributes, None, 1, None, None))
    return made


def formula(kind: str, form: str, values: Mapping[str, float], verdict: Verdict, revision: int = 1) -> Formula:
    known = {name: Coefficient(estimate=value, low=value, high=value) for name, value in values.items()}
    return Formula.model_validate(
        {
            "id": kind,
            "revision": revision,
            "kind": kind,
            "form": form,
            "expression": POWER if form == "power" else "",
            "statement": "planted",
            "latex": "planted",
            "studies": ("study-1",),
            "size_convention": "total_parameters",
            "observations": 27,
            "domain": {"batch_tokens": (1024, 4096), "total_parameters": (BUDGET, BUDGET), "depth": (2, 8)},
            "held_out_error": 0.01,
            "coefficients": {name: value.model_dump() for name, value in known.items()},
            "verdict": verdict,
            "evidence": {
                "covariance": {
                    "names": ["c", "r"],
                    "matrix": [[0.0, 0.0], [0.0, 0.0]],
                    "multiplier": 2.0,
                    "logs": ["c"],
                    "logarithmic": True,
                }
            },
        }
    )


def rate_law(verdict: Verdict, revision: int = 1) -> Formula:
    """lr* = 0.001·(B/1024)^0.5"""
    values = {"c": 0.001, "r": 0.5, "reference_batch_tokens": 1024.0}
    return formula("learning_rate_batch", "power", values, verdict, revision)


def depth_law(verdict: Verdict, best_depth: float = 6.0) -> Formula:
    return formula("depth_width", "quadratic_log_depth", {"best_depth": best_depth}, verdict)


def field(recipe: Recipe, name: str) -> RecipeField:
    return next(field for field in recipe.fields if field.name == name)


def check_sources(recipe: Recipe) -> None:
    """Every leaf of the config has exactly one field, which holds its value and cites something."""
    assert Counter(field.name for field in recipe.fields) == Counter(name for name, _ in leaves(recipe.config))
    assert {field.name: field.value for field in recipe.fields} == dict(leaves(recipe.config))
    assert all(field.reference for field in recipe.fields)


SPEC = study()
TRIALS = trials(SPEC)


class TestFromTrial:
    def test_is_exactly_what_the_trial_ran(self) -> None:
        trial = TRIALS[22]
        recipe = recipe_from_trial(SPEC, trial, [])
        architecture, optimization = recipe.config.architecture, recipe.config.optimization
        assert architecture.depth == trial.parameters["depth"]
        assert architecture.width == trial.parameters["width"]
        assert architecture.ffn_width == trial.attributes["ffn_width"]
        assert count_parameters(architecture).total == trial.attributes["total_parameters"]
        assert optimization.learning_rate == trial.parameters["learning_rate"]
        assert optimization.batch_tokens == trial.parameters["batch_tokens"]
        assert (recipe.config.length.unit, recipe.config.length.amount) == ("tokens", 400_000)
        assert field(recipe, "architecture.depth").reference == "trial 22"
        check_sources(recipe)

    @pytest.mark.parametrize("unit", ["bytes", "flops"])
    def test_keeps_the_unit_of_its_length(self, unit: str) -> None:
        spec = study(train_tokens=None, **{f"train_{unit}": 5_000_000})
        recipe = recipe_from_trial(spec, TRIALS[0], [])
        assert (recipe.config.length.unit, recipe.config.length.amount) == (unit, 5_000_000)

    @pytest.mark.parametrize("state", [TrialState.FAIL, TrialState.WAITING, TrialState.INFEASIBLE])
    def test_refuses_a_trial_that_did_not_train(self, state: TrialState) -> None:
        with pytest.raises(InvalidInput) as caught:
            recipe_from_trial(SPEC, trials(SPEC, state=state)[0], [])
        assert caught.value.field == "trial"

    def test_quotes_a_decided_law_and_does_not_use_it(self) -> None:
        trial = next(trial for trial in TRIALS if trial.parameters["batch_tokens"] == 4096)
        rate = field(recipe_from_trial(SPEC, trial, [rate_law("recovered")]), "optimization.learning_rate")
        assert rate.value == trial.parameters["learning_rate"]
        assert "gives 0.002 at this batch" in rate.note
        undecided = recipe_from_trial(SPEC, trial, [rate_law("undetermined")])
        assert "gives" not in field(undecided, "optimization.learning_rate").note


class TestLearningRate:
    target = Target(total_parameters=BUDGET, tokens=20_000_000)

    @pytest.mark.parametrize("verdict", sorted(DECIDED))
    def test_decided_law_at_the_best_trials_batch(self, verdict: Verdict) -> None:
        recipe = recipe_for_target(SPEC, TRIALS, [rate_law(verdict)], self.target)
        batch = TRIALS[4].parameters["batch_tokens"]
        rate = field(recipe, "optimization.learning_rate")
        assert field(recipe, "optimization.batch_tokens").value == batch
        assert rate.source == "formula"
        assert rate.value == pytest.approx(0.001 * (float(batch) / 1024) ** 0.5, rel=5e-3)
        assert "inside its batches" in rate.note

    @pytest.mark.parametrize("verdict", UNDECIDED)
    def test_undecided_law_is_never_used(self, verdict: Verdict) -> None:
        recipe = recipe_for_target(SPEC, TRIALS, [rate_law(verdict), depth_law(verdict)], self.target)
        assert "formula" not in {field.source for field in recipe.fields}
        rate = field(recipe, "optimization.learning_rate")
        assert (rate.value, rate.source) == (TRIALS[4].parameters["learning_rate"], "trial")
        assert verdict in rate.note
        assert verdict in field(recipe, "architecture.depth").note

    def test_the_latest_revision_speaks(self) -> None:
        laws = [rate_law("recovered", revision=1), rate_law("undetermined", revision=2)]
        recipe = recipe_for_target(SPEC, TRIALS, laws, self.target)
        assert field(recipe, "optimization.learning_rate").source == "trial"

    def test_a_little_outside_the_domain_states_the_factor(self) -> None:
        target = Target(total_parameters=BUDGET, tokens=2 * 512)
        recipe = recipe_for_target(SPEC, TRIALS, [rate_law("recovered")], target)
        rate = field(recipe, "optimization.learning_rate")
        assert field(recipe, "optimization.batch_tokens").value == 512
        assert (rate.source, rate.value) == ("formula", pytest.approx(0.001 * 0.5**0.5, rel=5e-3))
        assert "×2 outside its batches" in rate.note
        assert recipe.extrapolation["batch_tokens"] == 2

    def test_far_outside_the_domain_it_is_not_used(self) -> None:
        target = Target(total_parameters=1000 * BUDGET, tokens=20_000_000_000)
        recipe = recipe_for_target(SPEC, TRIALS, [rate_law("recovered")], target)
        rate = field(recipe, "optimization.learning_rate")
        assert rate.source == "default"
        assert "is not used: ×" in rate.note

    def test_at_a_far_size_it_is_not_used_even_at_its_own_batches(self) -> None:
        target = Target(total_parameters=1000 * BUDGET, tokens=2 * 2048)
        recipe = recipe_for_target(SPEC, TRIALS, [rate_law("recovered")], target)
        rate = field(recipe, "optimization.learning_rate")
        assert field(recipe, "optimization.batch_tokens").value == 2048
        assert rate.source == "default"
        assert "inside its batches" in rate.note

    def test_the_trials_rate_at_another_batch_says_so(self) -> None:
        recipe = recipe_for_target(SPEC, TRIALS, [], Target(total_parameters=BUDGET, tokens=512))
        assert "not at this recipe's 256" in field(recipe, "optimization.learning_rate").note


class TestNetworkOptions:
    def test_block_norms_and_z_loss_of_the_study_go_over(self) -> None:
        spec = study(block="pangu_pi", qk_norm=True, z_loss=1e-4, init_scheme="internlm")
        for recipe in (
            recipe_from_trial(spec, trials(spec)[3], []),
            recipe_for_target(spec, trials(spec), [], Target(total_parameters=7 * BUDGET, tokens=10**7)),
            recipe_for_target(spec, [], [], Target(total_parameters=7 * BUDGET, tokens=10**7)),
        ):
            check_sources(recipe)
            architecture = recipe.config.architecture
            assert (architecture.block, architecture.qk_norm, architecture.mup_base_width) == ("pangu_pi", True, None)
            assert recipe.config.optimization.z_loss == 1e-4
            assert recipe.config.initialization.scheme == "internlm"
        assert count_parameters(architecture).total == pytest.approx(7 * BUDGET, rel=0.03)

    @pytest.mark.parametrize("factor", [1, 10, 1000])
    def test_mup_keeps_its_base_width_and_the_trials_rate_at_every_size(self, factor: int) -> None:
        spec = study(init_scheme="mup", mup_base_width=64)
        found = trials(spec)
        recipe = recipe_for_target(spec, found, [], Target(total_parameters=factor * BUDGET, tokens=10**9))
        assert recipe.config.architecture.mup_base_width == 64
        assert recipe.config.initialization.scheme == "mup"
        rate = field(recipe, "optimization.learning_rate")
        assert (rate.value, rate.source) == (found[4].parameters["learning_rate"], "trial")
        assert any("muP keeps the best one" in warning for warning in recipe.warnings) is (factor > 1)
        assert not any("learning_rate" in warning or "Learning rate" in warning for warning in recipe.warnings)

    @pytest.mark.parametrize("scheme", ["constant", "mup"])
    def test_a_law_of_the_other_parametrisation_is_not_used(self, scheme: str) -> None:
        spec = study(init_scheme=scheme)
        target = Target(total_parameters=BUDGET, tokens=20_000_000)
        for kind in ("standard", "mup"):
            laws = [law("recovered").model_copy(update={"parametrisation": kind}) for law in (rate_law, depth_law)]
            own = (kind == "mup") == (scheme == "mup")
            recipe = recipe_for_target(spec, trials(spec), laws, target)
            assert ("formula" in {field.source for field in recipe.fields}) is own
            rate = field(recipe_from_trial(spec, trials(spec)[3], laws), "optimization.learning_rate")
            assert ("gives" in rate.note) is own

    def test_each_parametrisation_has_a_law_of_its_own(self) -> None:
        """Planted with another exponent under muP; one row of each failed before it reported its attributes."""
        context = FitContext(("7",), "validation_loss")
        rows = []
        for scheme, exponent in (("gpt2", 0.5), ("mup", 0.2)):
            plan = RateBatchPlan(exponent=exponent, jitter=0.01, missing=0.0)
            planted = plant_rate_batch(plan, np.random.default_rng(0))
            said: dict[str, Value] = {"parametrisation": "mup" if scheme == "mup" else "standard"}
            rows += [
                replace(row, parameters={**row.parameters, "init_scheme": scheme}, attributes=said if index else {})
                for index, row in enumerate(planted)
            ]
        laws = {law.parametrisation: law for law in fit_all(rows, context)}
        assert {law.id for law in laws.values()} == {"7-learning_rate_batch-r1", "7-learning_rate_batch-mup-r1"}
        assert laws["standard"].coefficients["r"].estimate == pytest.approx(0.5, abs=0.05)
        assert laws["mup"].coefficients["r"].estimate == pytest.approx(0.2, abs=0.05)
        assert laws["mup"].statement.endswith("(under muP)")

    def test_a_failed_trial_is_of_its_studys_only_parametrisation(self) -> None:
        failed = Observation(0, TrialState.FAIL, {"learning_rate": 0.1}, {}, {})
        done = [replace(failed, attributes={"parametrisation": name}) for name in ("mup", "standard")]
        assert [regime[0] for regime in by_regime([failed, done[0]])] == ["mup"]
        assert [regime[0] for regime in by_regime([failed, done[1]])] == ["standard"]
        assert [regime[0] for regime in by_regime([failed])] == ["standard"]
        assert [regime[0] for regime in by_regime([failed, *done])] == ["standard", "mup"]


class TestDepth:
    def test_decided_law_at_its_own_size(self) -> None:
        recipe = recipe_for_target(
            SPEC, TRIALS, [depth_law("recovered")], Target(total_parameters=BUDGET, tokens=10**7)
        )
        depth = field(recipe, "architecture.depth")
        assert (depth.value, depth.source) == (6, "formula")
        assert recipe.extrapolation["total_parameters"] == pytest.approx(1, abs=0.05)

    def test_decided_law_elsewhere_states_the_factor(self) -> None:
        target = Target(total_parameters=20 * BUDGET, tokens=10**8)
        depth = field(
            recipe_for_target(SPEC, TRIALS, [depth_law("agrees_at_this_scale")], target), "architecture.depth"
        )
        assert depth.source == "formula"
        assert depth.whole > 6
        assert "×20 in N" in depth.note

    def test_a_law_without_a_best_depth_is_not_used(self) -> None:
        flat = depth_law("recovered").model_copy(update={"form": "linear_log_depth", "coefficients": {}})
        recipe = recipe_for_target(SPEC, TRIALS, [flat], Target(total_parameters=BUDGET, tokens=10**7))
        depth = field(recipe, "architecture.depth")
        assert (depth.value, depth.source) == (TRIALS[4].parameters["depth"], "trial")
        assert "no best depth" in depth.note

    def test_without_a_law_another_size_takes_the_papers_aspect_ratio(self) -> None:
        recipe = recipe_for_target(SPEC, TRIALS, [], Target(total_parameters=500 * BUDGET, tokens=10**10))
        architecture = recipe.config.architecture
        assert field(recipe, "architecture.depth").source == "default"
        assert architecture.width / architecture.depth == pytest.approx(1792 / 20, rel=0.15)


class TestFittedLaws:
    """The laws as the fits write them, from planted observations."""

    context = FitContext(studies=("study-1",), metric="validation_loss")
    target = Target(total_parameters=BUDGET, tokens=10**7)

    def test_rate(self) -> None:
        batches = [512.0, 1024.0, 2048.0, 4096.0, 8192.0]
        plan = RateBatchPlan(grids=3, batches=batches, columns={"total_parameters": float(BUDGET)})
        (law,) = fit_learning_rate_batch(plant_rate_batch(plan, np.random.default_rng(0)), self.context)
        assert law.verdict == "agrees_at_this_scale"
        recipe = recipe_for_target(SPEC, TRIALS, [law], self.target)
        rate, batch = field(recipe, "optimization.learning_rate"), field(recipe, "optimization.batch_tokens").whole
        assert rate.source == "formula"
        assert rate.value == pytest.approx(evaluate(law, {"batch_tokens": batch}).estimate, rel=0.005)

    def test_an_undecided_best_depth_is_quoted_and_not_used(self) -> None:
        plan = DepthPlan(cost=bowl_over_depth(5.0, 0.05), architectures=40)
        (law,) = fit_depth_width(plant_depth_width(plan, np.random.default_rng(0)), self.context)
        undecided = law.model_copy(update={"verdict": "undetermined"})
        depth = field(recipe_for_target(SPEC, TRIALS, [undecided], self.target), "architecture.depth")
        assert depth.source == "trial"
        assert "it names" in depth.note
        decided = law.model_copy(update={"verdict": "differs_at_this_scale"})
        depth = field(recipe_for_target(SPEC, TRIALS, [decided], self.target), "architecture.depth")
        assert (depth.value, depth.source) == (5, "formula")


class TestTarget:
    @settings(max_examples=100, deadline=None)
    @given(
        total=st.floats(min_value=5.478, max_value=9.477).map(lambda log: int(10**log)),
        tokens=st.floats(min_value=3.7, max_value=13).map(lambda log: int(10**log)),
        best=st.integers(0, 26),
        laws=st.sampled_from([[], [rate_law("recovered"), depth_law("refuted", 3.3)], [rate_law("undetermined")]]),
        any_trial=st.booleans(),
    )
    def test_any_target_gives_a_config_that_can_start(
        self, total: int, tokens: int, best: int, laws: list[Formula], any_trial: bool
    ) -> None:
        found = trials(SPEC, best) if any_trial else []
        recipe = recipe_for_target(SPEC, found, laws, Target(total_parameters=total, tokens=tokens))
        assert count_parameters(recipe.config.architecture).total == pytest.approx(total, rel=0.03)
        plan = plan_run(recipe.config, bytes_per_token=3.0)
        assert plan.steps * recipe.config.optimization.batch_tokens == pytest.approx(tokens, rel=0.5)
        check_sources(recipe)

    @pytest.mark.parametrize(
        ("total", "tokens", "name"),
        [
            (1, 10**6, "total_parameters"),
            (1000, 10**6, "total_parameters"),
            (10**20, 10**6, "total_parameters"),
            (-5, 10**6, "total_parameters"),
            (BUDGET, 1, "tokens"),
            (BUDGET, 511, "tokens"),
            (BUDGET, 10**20, "tokens"),
        ],
    )
    def test_impossible_targets_name_the_field_and_the_remedy(self, total: int, tokens: int, name: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            recipe_for_target(SPEC, TRIALS, [], Target(total_parameters=total, tokens=tokens))
        assert caught.value.field == name
        assert any(character.isdigit() for character in caught.value.remedy)

    def test_the_remedy_is_enough(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            recipe_for_target(SPEC, TRIALS, [], Target(total_parameters=1000, tokens=10**6))
        least = int(caught.value.remedy.split()[-1])
        recipe = recipe_for_target(SPEC, TRIALS, [], Target(total_parameters=least, tokens=10**6))
        assert count_parameters(recipe.config.architecture).total == pytest.approx(least, rel=0.03)

    def test_far_targets_say_so_plainly(self) -> None:
        far = recipe_for_target(SPEC, TRIALS, [], Target(total_parameters=1000 * BUDGET, tokens=10**11))
        assert far.extrapolation["total_parameters"] == pytest.approx(1000, rel=0.05)
        assert any("times outside the sizes of the trials" in warning for warning in far.warnings)
        near = recipe_for_target(SPEC, TRIALS, [], Target(total_parameters=BUDGET, tokens=10**6))
        assert near.warnings == ()

    def test_no_complete_trial_means_defaults(self) -> None:
        waiting = trials(SPEC, state=TrialState.WAITING)
        recipe = recipe_for_target(SPEC, waiting, [], Target(total_parameters=10**9, tokens=2 * 10**10))
        assert {field.source for field in recipe.fields} == {"default", "derived", "target"}
        assert recipe.config.architecture.vocabulary_size == 48_000
        assert recipe.extrapolation == {}
        assert "No trial of the study is complete" in recipe.warnings[0]

    def test_the_target_is_cited(self) -> None:
        recipe = recipe_for_target(SPEC, TRIALS, [], Target(total_parameters=BUDGET, tokens=12_345_678))
        amount = field(recipe, "length.amount")
        assert (amount.value, amount.source) == (12_345_678, "target")

    def test_grouped_heads_stay_grouped(self) -> None:
        spec = study(kv_heads=2)
        recipe = recipe_for_target(spec, trials(spec), [], Target(total_parameters=20 * BUDGET, tokens=10**8))
        architecture = recipe.config.architecture
        assert architecture.kv_heads == 2
        assert architecture.heads % 2 == 0
        assert count_parameters(architecture).total == pytest.approx(20 * BUDGET, rel=0.03)

    def test_a_long_warm_up_does_not_swallow_a_short_run(self) -> None:
        spec = study(warmup_tokens=40_960)
        short = recipe_for_target(spec, trials(spec), [], Target(total_parameters=BUDGET, tokens=50_000))
        assert short.config.optimization.warmup_tokens == 1500
        assert "more than half" in field(short, "optimization.warmup_tokens").note
        long = recipe_for_target(spec, trials(spec), [], Target(total_parameters=BUDGET, tokens=10**6))
        assert (long.config.optimization.warmup_tokens, field(long, "optimization.warmup_tokens").source) == (
            40_960,
            "trial",
        )


@pytest.mark.parametrize("mask_documents", [False, True])
def test_masking_is_inherited_from_the_study(mask_documents: bool) -> None:
    spec = study(mask_documents=mask_documents)
    for target in (Target(total_parameters=BUDGET, tokens=10**7), Target(total_parameters=10**9, tokens=10**11)):
        recipe = recipe_for_target(spec, trials(spec), [], target)
        assert recipe.config.architecture.mask_documents is mask_documents


def test_a_full_run_keeps_the_schedule_and_does_not_anneal_on_the_way() -> None:
    spec = study(schedule="wsd", annealed_evaluations=True, compilation="on")
    target = Target(total_parameters=2 * BUDGET, tokens=10**7)
    for recipe in (recipe_for_target(spec, trials(spec), [], target), recipe_from_trial(spec, trials(spec)[4], [])):
        assert recipe.config.optimization.schedule == "wsd"
        assert recipe.config.compilation == "on"
        assert not recipe.config.annealed_evaluations
