"""What a recipe says of a start from a parent, of rounds and of a teacher."""

from dataclasses import replace
from typing import Any

import pytest

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from studies.formulas.formula import Formula
from studies.recipe import Recipe, Target, recipe_for_target, recipe_from_trial
from studies.recipe.models import KnownModel, Models
from studies.recipe.presets import find_preset
from studies.spec import StudySpec
from tests.recipe_study import BUDGET, field_of, law, planted_trials, spec_of

PARENT = {"parent": {"kind": "trial", "study": 7, "trial": 3}, "neurons": "taylor"}
TEACHER = {"model": {"kind": "folder", "path": "/models/teacher"}, "weight": 0.25}
PLAIN = spec_of()
NEAR = Target(total_parameters=BUDGET, tokens=400_000)


def study(**sections: Any) -> StudySpec:
    return StudySpec.model_validate({**PLAIN.model_dump(mode="json", exclude_unset=True), **sections})


INHERITING = study(inherit=PARENT, teacher=TEACHER)
TRIALS = planted_trials(PLAIN)


def network(**changes: Any) -> ArchitectureConfig:
    fields = {"vocabulary_size": 512, "depth": 16, "width": 512, "head_dim": 32, "kv_heads": 16, "ffn_width": 2048}
    return ArchitectureConfig.model_validate({**fields, "sequence_length": 256, **changes})


def known(given: bool = False, **changes: Any) -> KnownModel:
    return KnownModel("/weights/abc", "study 7, trial 3", network(**changes), train_flops=1e12, given=given)


def recipe(spec: StudySpec, models: Models, *formulas: Formula, target: Target = NEAR, trials: Any = TRIALS) -> Recipe:
    return recipe_for_target(spec, trials, formulas, target, models=models)


def comparison(kind: str, winner: dict[str, Any] | None, **more: Any) -> Formula:
    made = law(kind, "", "level", {"level": 2.0}, **more)
    evidence = {**made.evidence, "winner": winner and {"method": "the winner", "parameters": winner}}
    return made.model_copy(update={"evidence": evidence})


def values(found: Recipe, room: str) -> dict[str, Any]:
    return {field.name: (field.value, field.source) for field in found.fields if field.name.split(".")[0] == room}


class TestStart:
    def test_it_is_that_of_the_trials_where_the_parent_is_large_enough(self) -> None:
        found = recipe(INHERITING, Models(known(), known()))
        assert found.config.inheritance is not None
        assert found.config.inheritance.parent == "/weights/abc"
        assert values(found, "inheritance")["inheritance.neurons"] == ("taylor", "trial")
        assert "study 7, trial 3" in field_of(found, "inheritance.parent").note
        assert found.plan is not None
        assert found.plan.start is not None
        assert (found.plan.start.parent_depth, found.plan.start.parent_train_flops) == (16, 1e12)

    def test_it_is_that_of_the_study_where_the_best_trial_has_none(self) -> None:
        inherit = {**PARENT, "calibration_bytes": 500_000, "mask_steps": 777}
        trials = [replace(trial, parameters={**trial.parameters, "inherit_method": "none"}) for trial in TRIALS]
        found = recipe(study(inherit=inherit), Models(known(given=True)), trials=trials)
        leaves = values(found, "inheritance")
        assert leaves["inheritance.neurons"] == ("taylor", "default")
        assert leaves["inheritance.calibration_bytes"] == (500_000, "default")
        assert "the study's" in field_of(found, "inheritance.mask_steps").reference

    @pytest.mark.parametrize(
        ("change", "said"), [({"depth": 2}, "depth 2"), ({"head_dim": 64, "kv_heads": 8}, "head_dim")]
    )
    def test_a_parent_too_small_for_the_target_is_never_dropped_silently(self, change: Any, said: str) -> None:
        found = recipe(INHERITING, Models(known(**change), known()))
        assert values(found, "inheritance") == {"inheritance": (None, "default")}
        assert any(said in line and "drawn" in line and "--parent" in line for line in found.warnings)

    def test_a_parent_that_is_gone_is_said_to_be(self) -> None:
        gone = KnownModel("study 7, trial 3", "study 7, trial 3", problem="its weights are no longer there")
        found = recipe(INHERITING, Models(gone, known()))
        assert found.config.inheritance is None
        assert any("no longer there" in line for line in found.warnings)

    def test_of_a_trial_it_is_kept_and_a_missing_parent_is_warned_of(self) -> None:
        found = recipe_from_trial(INHERITING, TRIALS[1], [], Models(known(), known()))
        assert found.config.inheritance is not None
        assert found.config.inheritance.parent == "/weights/abc"
        assert not found.warnings
        assert [line for line in recipe_from_trial(INHERITING, TRIALS[1], []).warnings if "cannot be read" in line]

    def test_the_targets_own_parent_comes_first_and_decides_the_width_of_heads(self) -> None:
        own = replace(known(given=True, head_dim=64, kv_heads=8, qk_norm=True), train_flops=None)
        found = recipe(PLAIN, Models(own))
        assert values(found, "inheritance")["inheritance.parent"] == ("/weights/abc", "target")
        assert values(found, "inheritance")["inheritance.neurons"] == ("learned_mask", "default")
        assert "F4" in field_of(found, "inheritance.neurons").reference
        assert (found.config.architecture.head_dim, found.config.architecture.qk_norm) == (64, True)
        assert field_of(found, "head_dim").reference == "parent"

    def test_the_targets_own_parent_is_refused_where_it_is_too_small(self) -> None:
        with pytest.raises(InvalidInput, match=r"^parent: has depth 1, the network"):
            recipe(PLAIN, Models(known(given=True, depth=1)))

    def test_without_inheriting_trials_there_is_none(self) -> None:
        found = recipe(PLAIN, Models())
        assert values(found, "inheritance") == {"inheritance": (None, "trial")}
        assert found.plan is None
        assert not [line for line in found.warnings if "inherit" in line]


class TestComparisons:
    def test_the_winner_of_a_decided_one_is_recommended(self) -> None:
        laws = [
            comparison("inheritance", {"inherit_method": "l2"}),
            comparison("multiple_rounds", {"rounds": 2, "sampling_rate": 0.25}),
            comparison("initialization", {"init_scheme": "gpt2"}),
        ]
        found = recipe(INHERITING, Models(known(), known()), *laws)
        assert values(found, "inheritance")["inheritance.neurons"] == ("l2", "formula")
        rounds = values(found, "multiple_rounds")
        assert rounds["multiple_rounds.rounds"] == (2, "formula")
        assert rounds["multiple_rounds.sampling_rate"] == (0.25, "formula")
        assert rounds["multiple_rounds.parts"] == (8, "trial")
        assert (field_of(found, "scheme").value, field_of(found, "scheme").source) == ("gpt2", "formula")

    @pytest.mark.parametrize("verdict", ["undetermined", "exploratory", "interim"])
    def test_an_undecided_one_moves_nothing(self, verdict: str) -> None:
        laws = [
            comparison("inheritance", {"inherit_method": "l2"}, verdict=verdict),
            comparison("multiple_rounds", {"rounds": 2}, verdict=verdict),
            comparison("initialization", {"init_scheme": "gpt2"}, verdict=verdict),
        ]
        found = recipe(INHERITING, Models(known(), known()), *laws)
        plain = recipe(INHERITING, Models(known(), known()))
        assert found.config == plain.config
        assert verdict in field_of(found, "inheritance.neurons").note
        assert verdict in field_of(found, "multiple_rounds.rounds").note

    def test_a_decided_one_without_a_winner_or_far_away_moves_nothing(self) -> None:
        models = Models(known(), known())
        none = comparison("multiple_rounds", None)
        assert "no method" in field_of(recipe(INHERITING, models, none), "multiple_rounds.rounds").note
        two = comparison("multiple_rounds", {"rounds": 2})
        far = recipe(PLAIN, Models(), two, target=Target(total_parameters=100 * BUDGET, tokens=10**9))
        assert (field_of(far, "multiple_rounds.rounds").value, field_of(far, "multiple_rounds.rounds").source) == (
            1,
            "trial",
        )
        assert "outside its sizes" in field_of(far, "multiple_rounds.rounds").note

    def test_to_inherit_nothing_may_win(self) -> None:
        found = recipe(INHERITING, Models(known(), known()), comparison("inheritance", {"inherit_method": "none"}))
        assert values(found, "inheritance") == {"inheritance": (None, "formula")}
        assert not [line for line in found.warnings if "inherit" in line.lower()]

    def test_a_winner_of_another_parametrisation_is_not_taken_up(self) -> None:
        found = recipe(PLAIN, Models(), comparison("initialization", {"init_scheme": "mup"}))
        assert (field_of(found, "scheme").value, field_of(found, "scheme").source) == ("constant", "trial")


class TestTeacher:
    def test_it_is_that_of_the_trials(self) -> None:
        found = recipe(INHERITING, Models(known(), known()))
        assert values(found, "distillation")["distillation.weight"] == (0.25, "trial")
        assert found.config.distillation is not None
        assert found.config.distillation.teacher == "/weights/abc"
        assert found.plan is not None
        assert found.plan.teacher is not None
        assert found.plan.tokens is not None
        assert found.plan.total_tokens is not None
        assert found.plan.total_tokens > found.plan.tokens

    @pytest.mark.parametrize("change", [{"sequence_length": 128}, {"vocabulary_size": 256}])
    def test_one_that_cannot_teach_this_network_is_never_dropped_silently(self, change: Any) -> None:
        found = recipe(INHERITING, Models(known(), known(**change)))
        assert values(found, "distillation") == {"distillation": (None, "default")}
        assert any("--teacher" in line for line in found.warnings)
        with pytest.raises(InvalidInput, match=r"^teacher: "):
            recipe(PLAIN, Models(teacher=known(given=True, **change)))

    def test_the_targets_own_comes_first(self) -> None:
        found = recipe(PLAIN, Models(teacher=known(given=True)))
        assert values(found, "distillation")["distillation.teacher"] == ("/weights/abc", "target")
        assert values(found, "distillation")["distillation.weight"] == (0.5, "default")


class TestRounds:
    def test_all_of_them_together_have_the_targets_tokens(self) -> None:
        found = recipe(study(proxy={**PLAIN.proxy.model_dump(exclude_unset=True), "rounds": 3}), Models())
        assert found.plan is not None
        assert [part.number for part in found.plan.rounds] == [1, 2, 3]
        assert sum(part.share for part in found.plan.rounds) == pytest.approx(1)
        assert found.plan.rounds[1].share == pytest.approx(0.5 * found.plan.rounds[0].share, rel=0.02)
        assert found.plan.tokens == found.plan.total_tokens == NEAR.tokens
        assert found.config.length.amount == NEAR.tokens

    def test_a_run_too_short_for_them_makes_one_and_says_so(self) -> None:
        spec = study(proxy={**PLAIN.proxy.model_dump(exclude_unset=True), "rounds": 3})
        found = recipe(spec, Models(), target=Target(total_parameters=BUDGET, tokens=10_240))
        assert (field_of(found, "multiple_rounds.rounds").value, found.plan) == (1, None)
        assert any("too short for 3 rounds" in line for line in found.warnings)


def test_kept_weights_are_no_part_of_a_full_run() -> None:
    spec = study(proxy={**PLAIN.proxy.model_dump(exclude_unset=True), "keep_weights": True})
    for found in (recipe(spec, Models()), recipe_from_trial(spec, TRIALS[1], [])):
        assert found.config.keep_weights is False
        assert field_of(found, "keep_weights").source == "default"


class TestPaper:
    TARGET = Target(total_parameters=10**9, tokens=10**12)

    def test_states_its_initialisation_its_rounds_and_why_nothing_is_inherited(self) -> None:
        found = find_preset("paper").recipe(self.TARGET)
        assert field_of(found, "scheme").reference.endswith("F3")
        assert field_of(found, "multiple_rounds.rounds").reference.endswith("F6")
        rounds = found.config.multiple_rounds
        assert (rounds.rounds, rounds.sampling_rate, rounds.parts, rounds.selection) == (2, 0.5, 8, "loss")
        assert found.config.inheritance is None
        assert any("PanGu-π-7B" in line and "not public" in line and "--parent" in line for line in found.warnings)
        assert found.plan is not None
        shares = [part.tokens / self.TARGET.tokens for part in found.plan.rounds if part.tokens]
        assert shares == pytest.approx([2 / 3, 1 / 3], rel=1e-5)

    def test_inherits_by_a_learned_mask_from_a_parent_that_is_given(self) -> None:
        parent = known(True, vocabulary_size=32_000, depth=32, width=4096, head_dim=128, kv_heads=32, ffn_width=11_008)
        found = find_preset("paper").recipe(self.TARGET, Models(parent))
        assert field_of(found, "inheritance.neurons").reference.endswith("F4")
        assert values(found, "inheritance")["inheritance.neurons"] == ("learned_mask", "formula")
        assert not [line for line in found.warnings if "drawn" in line]


def test_every_leaf_has_a_source_whatever_the_trial() -> None:
    for spec in (PLAIN, INHERITING):
        for models in (Models(), Models(known(), known())):
            for made in (
                recipe(spec, models),
                recipe(spec, models, trials=[]),
                recipe_from_trial(spec, TRIALS[1], [], models),
            ):
                assert all(field.reference for field in made.fields)
