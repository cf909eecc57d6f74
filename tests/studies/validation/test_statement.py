"""What exports say of validations."""

from dataclasses import replace

import pytest

from studies.recipe import Recipe, Target, recipe_for_target
from studies.validation.gate import Rung, Runs, judge
from studies.validation.judgement import RECIPE, Judgement
from studies.validation.plan import Evidence, plan_validation
from studies.validation.request import ValidationPlan, ValidationRequest
from studies.validation.statement import OF_A_TRIAL, Judged, statement_of

SIZES = (1_000_000, 2_000_000, 4_000_000)


@pytest.fixture
def plan(evidence: Evidence) -> ValidationPlan:
    return plan_validation(evidence, ValidationRequest(sizes=SIZES)).plan


def judgement(plan: ValidationPlan, lead: float) -> Judgement:
    """Every rival worse than the recipe by ``lead`` at every size."""
    noise = {0: -0.001, 1: 0.0, 2: 0.001}
    rungs = [
        Rung(
            rung.total_parameters,
            {
                one.name: Runs({s: 2.0 + (one.name != RECIPE) * (lead + n * one.point) for s, n in noise.items()})
                for one in rung.candidates
            },
        )
        for rung in plan.rungs
    ]
    return judge(rungs, plan.margin, None)


def recipe(evidence: Evidence, parameters: int, tokens: int) -> Recipe:
    target = Target(total_parameters=parameters, tokens=tokens)
    return recipe_for_target(evidence.spec, evidence.trials, evidence.formulas, target)


def test_without_a_validation_it_says_so_plainly(evidence: Evidence) -> None:
    found = statement_of(recipe(evidence, 10**7, 10**8), [])
    assert (found.verdict, found.validation_id, found.extrapolation) == (None, None, {})
    assert found.words[0].startswith("Not validated:")
    assert OF_A_TRIAL.words[0].startswith("Not validated:")


def test_the_factor_that_remains_is_the_target_over_the_largest_size(evidence: Evidence, plan: ValidationPlan) -> None:
    found = statement_of(recipe(evidence, 40_000_000, 10**9), [Judged(3, plan, judgement(plan, 0.1))])
    top = plan.rungs[-1]
    assert (found.verdict, found.validation_id) == ("passed", 3)
    assert (found.validated_parameters, found.validated_tokens) == (top.total_parameters, top.tokens)
    assert found.extrapolation["total_parameters"] == pytest.approx(10, rel=0.05)
    assert found.extrapolation["tokens"] == pytest.approx(10**9 / top.tokens)
    assert found.words[0].startswith("Validated: validation 3 passed, against 4 rivals")
    assert any("A factor of extrapolation remains: ×" in line for line in found.words)


def test_inside_the_sizes_nothing_is_extrapolated(evidence: Evidence, plan: ValidationPlan) -> None:
    found = statement_of(recipe(evidence, 2_000_000, 40_000_000), [Judged(3, plan, judgement(plan, 0.1))])
    assert found.extrapolation == {"total_parameters": 1.0, "tokens": 1.0}
    assert any("nothing is extrapolated" in line for line in found.words)


def test_the_newest_that_has_ended_counts_and_the_others_are_named(evidence: Evidence, plan: ValidationPlan) -> None:
    passed, failed = judgement(plan, 0.1), judgement(plan, -0.1)
    running = passed.model_copy(update={"verdict": None})
    listed = [Judged(9, plan, running), Judged(8, plan, failed), Judged(7, plan, passed)]
    found = statement_of(recipe(evidence, 2_000_000, 40_000_000), listed)
    assert (found.verdict, found.validation_id) == ("failed", 8)
    assert found.words[0].startswith("Not validated: validation 8 failed")
    assert "Earlier validations of this study's recipe: 7 passed." in found.words
    assert "Validation 9 still runs." in found.words


def test_a_choice_that_is_made_otherwise_at_the_target_is_named(evidence: Evidence, plan: ValidationPlan) -> None:
    """Beyond the reach of the trials the rate is a published one: what was validated does not speak for it."""
    found = statement_of(recipe(evidence, 300_000_000, 6 * 10**9), [Judged(3, plan, judgement(plan, 0.1))])
    assert "optimization.learning_rate" in found.other_choices
    assert "trial: trial 4" in found.other_choices["optimization.learning_rate"]
    assert any("does not speak for it" in line for line in found.words)
    near = statement_of(recipe(replace(evidence), 4_000_000, 80_000_000), [Judged(3, plan, judgement(plan, 0.1))])
    assert near.other_choices == {}
