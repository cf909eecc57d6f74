"""Hardware, caps, floors and laws: what a target asks, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.counts import count_parameters, training_flops_per_token
from model.errors import InvalidInput
from studies.formulas.formula import Formula
from studies.recipe import Recipe, Target, recipe_for_target
from studies.recipe.presets import find_preset
from tests.recipe_study import BUDGET, field_of, law, planted_trials, spec_of

SPEC = spec_of()
TRIALS = planted_trials(SPEC)
JOINT = law(
    "learning_rate_batch",
    "joint_rate",
    "c * (total_parameters / 1e6) ** a * (train_tokens / 4e5) ** b * (batch_tokens / 2048) ** r",
    {"c": 0.004, "a": -0.5, "b": 0.2, "r": 0.5},
    verdict="determined",
)
BEST_BATCH = law("learning_rate_batch", "best_batch", "k * (train_tokens / 4e5) ** e", {"k": 2048.0, "e": 0.5})
GROWTH = law("depth_width", "growth", "d * (total_parameters / 1e6) ** g", {"d": 4.0, "g": 0.3})


def recipe(formulas: list[Formula] | None = None, /, **target: Any) -> Recipe:
    asked = Target.model_validate({"total_parameters": BUDGET, "tokens": 400_000, **target})
    return recipe_for_target(SPEC, TRIALS, formulas or [], asked)


def refusal(formulas: list[Formula] | None = None, /, **target: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        recipe(formulas, **target)
    return caught.value


class TestLaws:
    def test_the_joint_law_is_evaluated_at_size_length_and_batch(self) -> None:
        for cap in (None, 512):
            found = recipe([JOINT], total_parameters=4 * BUDGET, tokens=800_000, max_batch_tokens=cap)
            batch = found.config.optimization.batch_tokens
            assert cap is None or batch == cap
            expected = 0.004 * 4**-0.5 * 2**0.2 * (batch / 2048) ** 0.5
            assert found.config.optimization.learning_rate == pytest.approx(expected, rel=5e-3)
            assert "its lengths" in field_of(found, "learning_rate").note

    def test_the_joint_law_comes_before_that_over_the_batch_alone(self) -> None:
        alone = law("learning_rate_batch", "", "c * (batch_tokens / 2048) ** r", {"c": 0.001, "r": 0.5})
        batch = recipe([alone]).config.optimization.batch_tokens
        for laws, at_2048 in (([alone], 0.001), ([alone, JOINT], 0.004)):
            expected = at_2048 * (batch / 2048) ** 0.5
            assert recipe(laws).config.optimization.learning_rate == pytest.approx(expected, rel=5e-3)

    def test_a_law_that_knows_the_other_count_of_parameters_is_used_too(self) -> None:
        domain = {name: ends for name, ends in JOINT.domain.items() if name != "total_parameters"}
        other = JOINT.model_copy(
            update={
                "expression": JOINT.expression.replace("total_parameters", "non_embedding_parameters"),
                "domain": {**domain, "non_embedding_parameters": (BUDGET / 4, BUDGET)},
            }
        )
        found = recipe([other], total_parameters=4 * BUDGET)
        size = count_parameters(found.config.architecture).non_embedding
        batch = found.config.optimization.batch_tokens
        expected = 0.004 * (size / 1e6) ** -0.5 * (batch / 2048) ** 0.5
        assert found.config.optimization.learning_rate == pytest.approx(expected, rel=5e-3)
        assert "outside its sizes" in field_of(found, "learning_rate").note

    @pytest.mark.parametrize("verdict", ["exploratory", "interim"])
    def test_a_law_without_a_claim_is_still_not_one_of_unfinished_or_chosen_trials(self, verdict: str) -> None:
        unusable = JOINT.model_copy(update={"verdict": verdict})
        shown = field_of(recipe([unusable]), "learning_rate")
        assert shown.source == "trial"
        assert verdict in shown.note

    def test_a_law_out_of_reach_or_of_unknown_variables_is_not_used(self) -> None:
        far = field_of(recipe([JOINT], tokens=400_000 * 40), "learning_rate")
        assert far.source == "trial"
        assert "×40 outside its lengths" in far.note
        foreign = JOINT.model_copy(update={"expression": f"{JOINT.expression} * phase_of_the_moon"})
        assert "needs phase_of_the_moon" in field_of(recipe([foreign]), "learning_rate").note

    def test_the_best_batch_follows_the_length_up_to_the_cap(self) -> None:
        found = recipe([BEST_BATCH], tokens=1_600_000)
        assert found.config.optimization.batch_tokens == 4096
        shown = field_of(found, "batch_tokens")
        assert shown.source == "formula"
        assert shown.range is not None
        assert shown.range.high is not None
        capped = field_of(recipe([BEST_BATCH], tokens=1_600_000, max_batch_tokens=1500), "batch_tokens")
        assert (capped.value, capped.source, capped.reference) == (1280, "derived", "max_batch_tokens")
        assert capped.range is not None
        assert capped.range.high == 1500

    def test_the_scaling_law_says_what_to_expect_and_where_the_compute_were_best(self) -> None:
        scaling = law(
            "scaling",
            "",
            "E + A / total_parameters ** alpha + B / train_tokens ** beta",
            {"E": 1.0, "A": 100.0, "alpha": 0.3, "B": 100.0, "beta": 0.3},
        )
        optimal = law(
            "scaling",
            "optimal_size",
            "N * (compute / reference_compute) ** a",
            {"N": 1e6, "reference_compute": 2.4e12, "a": 0.5},
            domain={"compute": (1e11, 2.4e12)},
            verdict="recovered",
        )
        found = recipe([scaling, optimal], total_parameters=4 * BUDGET, tokens=800_000).expectation
        assert found is not None
        assert found.estimate == pytest.approx(1 + 100 * (4e6**-0.3 + 8e5**-0.3))
        assert found.low < found.estimate < found.high
        assert found.optimal_parameters == pytest.approx(1e6 * (6 * 4e6 * 8e5 / 2.4e12) ** 0.5)
        assert found.optimal_tokens is None
        assert recipe([scaling], tokens=10**9).expectation is None

    def test_the_best_depth_grows_with_the_size(self) -> None:
        for factor in (1, 4, 16):
            depth = field_of(recipe([GROWTH], total_parameters=factor * BUDGET), ".depth")
            assert (depth.value, depth.source) == (round(4 * factor**0.3), "formula")
            assert depth.range is not None
            assert depth.range.low is not None
            assert depth.range.low < 4 * factor**0.3 < (depth.range.high or 0)
        assert field_of(recipe([GROWTH], total_parameters=100 * BUDGET), ".depth").source == "default"

    @pytest.mark.parametrize(
        ("values", "size", "source"),
        [
            ({"best_vocabulary": 700.0, "rule_vocabulary": 600.0}, 700, "formula"),
            ({"rule_vocabulary": 600.0}, 600, "formula"),
            ({"rule_vocabulary": 20_000.0}, None, "derived"),
            ({}, 512, "trial"),
        ],
    )
    def test_the_vocabulary_is_the_best_one_else_the_rules(
        self, values: dict[str, float], size: int | None, source: str
    ) -> None:
        known = law("vocabulary", "", "level", {"level": 2.0, **values})
        shown = field_of(recipe([known], total_parameters=2 * BUDGET), "vocabulary_size")
        assert shown.source == source
        assert size is None or shown.value == size
        assert shown.whole * field_of(recipe([known], total_parameters=2 * BUDGET), ".width").whole < 0.25 * 2 * BUDGET

    def test_a_law_of_another_schedule_or_decay_is_left_out_by_name(self) -> None:
        for name, value in (("schedule", "wsd"), ("decay_mode", "coupled")):
            other = GROWTH.model_copy(update={"regime": {name: value}})
            found = recipe([other])
            assert field_of(found, ".depth").source == "trial"
            assert any(f"under {name} {value}" in warning and other.id in warning for warning in found.warnings)
        same = GROWTH.model_copy(update={"regime": {"schedule": "cosine", "decay_mode": "decoupled"}})
        assert field_of(recipe([same]), ".depth").source == "formula"


class TestShape:
    @pytest.mark.parametrize(("total", "unit"), [(10**9, 128), (10**8, 64)])
    def test_large_shapes_are_what_hardware_likes(self, total: int, unit: int) -> None:
        spec = spec_of(vocabulary_size=1000)
        found = recipe_for_target(spec, planted_trials(spec), [], Target(total_parameters=total, tokens=total))
        architecture = found.config.architecture
        assert architecture.ffn_width % unit == architecture.vocabulary_size % unit == architecture.width % 64 == 0
        assert architecture.vocabulary_size == 1024
        assert count_parameters(architecture).total == pytest.approx(total, rel=0.03)


class TestHardware:
    def test_memory_that_does_not_fit_names_the_gpus_and_the_remedy_is_enough(self) -> None:
        asked = {"total_parameters": 10**10, "tokens": 10**11, "gpu": "a100"}
        error = refusal(**asked, gpus=1)
        assert error.field == "gpus"
        least = int(error.remedy.split()[0])
        fitted = recipe(**asked, gpus=least).prediction
        assert fitted is not None
        assert (fitted.memory_bytes or 0) <= (fitted.memory_limit_bytes or 0)
        assert refusal(**asked, gpus=least - 1).field == "gpus"

    def test_where_more_gpus_do_not_help_larger_ones_are_named(self) -> None:
        asked = {"total_parameters": 10**9, "tokens": 10**10, "gpus": 64}
        error = refusal(**asked, gpu_memory_gib=2)
        assert error.field == "gpus"
        assert "GiB" in error.remedy
        needed = float(error.remedy.split("at least ")[1].split()[0])
        assert recipe(**asked, gpu_memory_gib=needed).prediction is not None

    def test_forward_passes_shrink_until_they_fit(self) -> None:
        usual = recipe(total_parameters=10**9, tokens=10**10, gpus=1, gpu="h100").config.micro_batch_tokens
        found = recipe(total_parameters=10**9, tokens=10**10, gpus=1, gpu_memory_gib=26)
        shown = field_of(found, "micro_batch_tokens")
        assert shown.source == "derived"
        assert shown.whole < usual
        assert shown.whole % found.config.architecture.sequence_length == 0

    def test_days_follow_from_flops_and_utilisation(self) -> None:
        found = recipe(total_parameters=4 * BUDGET, gpus=2, gpu="h100")
        prediction = found.prediction
        assert prediction is not None
        flops = training_flops_per_token(found.config.architecture) * 400_000
        assert prediction.train_flops == flops
        share = 1e7 * 6_000_000 / 989.4e12
        assert prediction.mfu == pytest.approx((share, share))
        assert "measured" in prediction.mfu_basis
        assert prediction.days == pytest.approx([flops / (2 * 989.4e12 * share) / 86_400] * 2)

    def test_utilisation_of_another_gpu_is_assumed_and_said_to_be(self) -> None:
        prediction = recipe(gpus=1, gpu="a100").prediction
        assert prediction is not None
        assert prediction.mfu == (0.30, 0.50)
        assert "assumed" in prediction.mfu_basis
        unknown = recipe().prediction
        assert unknown is not None
        assert (unknown.days, unknown.mfu, unknown.gpus) == (None, None, None)

    @pytest.mark.parametrize(
        ("asked", "field"),
        [
            ({"gpu": "abacus"}, "gpu"),
            ({"gpus": 0}, "gpus"),
            ({"gpus": 10**9}, "gpus"),
            ({"gpu_memory_gib": -1.0}, "gpu_memory_gib"),
            ({"gpu_peak_flops": 0.0}, "gpu_peak_flops"),
            ({"max_batch_tokens": 255}, "max_batch_tokens"),
            ({"max_batch_tokens": 2**40}, "max_batch_tokens"),
            ({"decode_tokens_per_second": 0.0}, "decode_tokens_per_second"),
            ({"gpus": 5, "max_batch_tokens": 1024}, "gpus"),
            ({"gpus": 1000, "tokens": 100_000}, "gpus"),
        ],
    )
    def test_impossible_targets_name_their_field(self, asked: dict[str, Any], field: str) -> None:
        assert refusal(**asked).field == field

    @settings(max_examples=15, deadline=None)
    @given(gpus=st.integers(1, 64), cap=st.one_of(st.none(), st.integers(256, 100_000)))
    def test_every_gpu_has_as_many_sequences(self, gpus: int, cap: int | None) -> None:
        most = 400_000 if cap is None else cap
        if most // 256 < gpus:
            assert refusal(gpus=gpus, max_batch_tokens=cap).field == "gpus"
            return
        batch = recipe(gpus=gpus, max_batch_tokens=cap).config.optimization.batch_tokens
        assert batch % (256 * gpus) == 0
        assert 0 < batch <= most


class TestDecodingSpeed:
    """Planted: 1 / (1 ms + 0.2 ms a layer) tokens a second."""

    def test_the_deepest_network_that_is_fast_enough_is_taken(self) -> None:
        deep = GROWTH.model_copy(update={"coefficients": {**GROWTH.coefficients, "d": GROWTH.coefficients["d"]}})
        free = field_of(recipe([deep], gpu="h100"), ".depth")
        assert free.value == 4
        slow = field_of(recipe([deep], gpu="h100", decode_tokens_per_second=1 / 1.65e-3), ".depth")
        assert (slow.value, slow.reference) == (3, "decode_tokens_per_second")
        easy = field_of(recipe([deep], gpu="h100", decode_tokens_per_second=100), ".depth")
        assert easy.value == 4
        assert "layers decode 100 tokens/s" in easy.note

    def test_a_floor_that_nothing_meets_is_refused_with_what_would_be_met(self) -> None:
        error = refusal(gpu="h100", decode_tokens_per_second=1000)
        assert error.field == "decode_tokens_per_second"
        possible = float(error.remedy.split("at most ")[1].split(",")[0])
        assert field_of(recipe(gpu="h100", decode_tokens_per_second=possible), ".depth").value == 1

    @pytest.mark.parametrize("asked", [{"gpu": "a100"}, {"gpu": "h100", "total_parameters": 10 * BUDGET}])
    def test_on_another_device_or_at_another_size_it_is_unknown(self, asked: dict[str, Any]) -> None:
        found = recipe(**asked, decode_tokens_per_second=500)
        assert any("is unknown" in warning for warning in found.warnings)

    def test_without_speeds_it_is_unknown(self) -> None:
        bare = [replace(trial, metrics={**trial.metrics, "decode_tokens_per_second": 0.0}) for trial in TRIALS]
        target = Target(total_parameters=BUDGET, tokens=400_000, decode_tokens_per_second=500)
        found = recipe_for_target(SPEC, bare, [], target)
        assert any("0 trials report" in warning for warning in found.warnings)


class TestPaperPreset:
    def made(self, total: float, **more: Any) -> Recipe:
        return find_preset("paper").recipe(Target(total_parameters=int(total), tokens=int(1.6e12), **more))

    def test_a_billion_parameters_give_the_papers_config(self) -> None:
        found = self.made(1e9)
        architecture = found.config.architecture
        assert 20 <= architecture.depth <= 22
        assert architecture.width == 1792
        assert architecture.vocabulary_size == 48_000
        assert architecture.ffn_ratio == pytest.approx(2.7, abs=0.15)
        assert (architecture.head_dim, architecture.heads, architecture.sequence_length) == (128, 14, 2048)
        assert found.config.optimization.learning_rate == 2e-4
        assert found.config.optimization.batch_tokens == 2**21
        for name in (".depth", "vocabulary_size", "learning_rate"):
            assert field_of(found, name).source == "formula"
            assert "2402.02791" in field_of(found, name).reference

    def test_one_and_a_half_billion_are_near_the_papers(self) -> None:
        architecture = self.made(1.5e9).config.architecture
        assert architecture.depth == 22
        assert architecture.width == pytest.approx(2048, rel=0.07)
        assert architecture.vocabulary_size == 48_000

    def test_the_config_follows_from_the_formulas(self) -> None:
        preset = find_preset("paper")
        depth = preset.formulas[1]
        deeper = depth.coefficients["depth_at_1b"].model_copy(update={"estimate": 28.0})
        changed = depth.model_copy(update={"coefficients": {**depth.coefficients, "depth_at_1b": deeper}})
        other = replace(preset, formulas=(preset.formulas[0], changed, preset.formulas[2]))
        architecture = other.recipe(Target(total_parameters=10**9, tokens=10**12)).config.architecture
        assert architecture.depth == 28
        assert architecture.width < 1792

    def test_a_capped_batch_has_the_papers_rate_at_that_batch(self) -> None:
        found = self.made(1e9, max_batch_tokens=2**20)
        assert found.config.optimization.learning_rate == pytest.approx(2e-4 * 0.5**0.5, rel=5e-3)
        assert not any("No trial of the study" in warning for warning in found.warnings)

    def test_what_the_paper_does_not_say_is_not_put_in_its_mouth(self) -> None:
        for field in self.made(1e9).fields:
            if field.name in ("seed", "corpus.kind", "optimization.z_loss", "compilation", "threads"):
                assert "2402.02791" not in field.reference
