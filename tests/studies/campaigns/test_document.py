"""Campaigns as documents: what a stage is given, which trial wins, what the pages and presets say."""

import re
from pathlib import Path
from typing import Any

import pytest

from model.errors import InvalidInput
from search.standard import PARAMETER_NAMES
from studies.campaigns.document import Baseline, CampaignDocument, Ladder, Stage
from studies.campaigns.parsing import parse_campaign
from studies.campaigns.presets import load_preset, load_preset_study, preset_names
from studies.campaigns.setting import NETWORK, Setting
from studies.campaigns.stages import MODELS, baseline_setting, stage_study
from studies.campaigns.winner import find_winner
from studies.records import Trial, TrialState
from studies.spec import StudySpec, build_space
from studies.specs.parsing import parse_spec
from studies.specs.yaml import load_spec_yaml
from tests.studies.campaigns.planted import document

PAGE = (Path(__file__).parents[3] / "docs" / "campaigns.md").read_text(encoding="utf-8")
KEPT = {"kind": "trial", "study": 7, "trial": 3}


def study_of(stage: dict[str, Any], setting: dict[str, Any] | None = None) -> StudySpec:
    """The study of one stage of the tiny campaign, after ``setting`` was adopted."""
    given = document() | {"stages": [{"name": "only", **stage}]}
    campaign = CampaignDocument.model_validate(given)
    adopted = baseline_setting(campaign)
    adopted = Setting.model_validate(
        {**adopted.model_dump(), **(setting or {}), "proxy": {**adopted.proxy, **((setting or {}).get("proxy", {}))}}
    )
    return stage_study(campaign, campaign.stages[0], adopted, lambda field, name: KEPT).spec


def test_what_a_stage_says_itself_is_never_replaced() -> None:
    own = {"depth": 7, "width": 48, "train_flops": 1e9, "keep_weights": True}
    spec = study_of({"study": {"proxy": own, "max_trial_count": 1}}, {"proxy": {"depth": 4, "learning_rate": 0.01}})
    assert (spec.proxy.depth, spec.proxy.width, spec.proxy.learning_rate) == (7, 48, 0.01)
    assert (spec.proxy.train_flops, spec.proxy.train_bytes) == (1e9, None)
    assert spec.constraints.solved is None


def test_a_stage_that_says_nothing_of_the_network_trains_the_very_one_that_was_adopted() -> None:
    campaign = CampaignDocument.model_validate(document())
    setting = baseline_setting(campaign)
    spec = study_of(
        {"study": {"space": {"weight_decay": {"type": "float", "low": 0.0, "high": 0.3}}, "max_trial_count": 2}}
    )
    trial = build_space(spec).point({"weight_decay": 0.5})
    assert trial.attributes["total_parameters"] == setting.total_parameters
    assert trial.attributes["ffn_ratio_realised"] == setting.proxy["ffn_ratio"] != setting.ffn_ratio_asked


def test_a_stage_that_varies_the_network_asks_for_the_ratio_that_was_asked_for() -> None:
    spec = study_of({"study": {"space": {"depth": {"type": "int", "low": 1, "high": 4}}, "max_trial_count": 4}})
    assert spec.proxy.ffn_ratio == pytest.approx(8 / 3)
    assert spec.constraints.solved is not None
    assert spec.constraints.solved[1].solve_for == "width"


def test_what_was_inherited_goes_on_unless_a_stage_leaves_it_out() -> None:
    inherit = {"parent": KEPT, "neurons": "l2", "layers": "first"}
    rate = {"space": {"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-2}}, "max_trial_count": 2}
    kept = study_of({"study": rate}, {"inherit": inherit})
    assert kept.inherit is not None
    assert (kept.inherit.neurons, kept.inherit.layers) == ("l2", "first")
    assert study_of({"study": {**rate, "inherit": None}}, {"inherit": inherit}).inherit is None
    models = {"inherit": {"parent": {"kind": "stage", "stage": "parent"}}}
    trained = study_of({"study": {**rate, **models}})
    assert trained.inherit is not None
    assert trained.inherit.parent.model_dump() == KEPT


def test_a_parent_that_is_too_small_for_what_is_known_is_doubted_before_anything_is_trained() -> None:
    given = document()
    stages: list[dict[str, Any]] = [
        {"name": "parent", "study": {"proxy": {"depth": 1, "width": 256, "keep_weights": True}, "max_trial_count": 1}},
        {
            "name": "inheritance",
            "study": {"inherit": {"parent": {"kind": "stage", "stage": "parent"}}, "max_trial_count": 1},
        },
    ]
    parsed = parse_campaign({**given, "stages": stages})
    (doubt,) = parsed.doubts[1]
    assert "the model of stage parent would not do: proxy.depth" in doubt
    stages[0]["study"]["proxy"]["depth"] = 8
    assert parse_campaign({**given, "stages": stages}).doubts == ((), ())


def trial(number: int, value: float | None, **parameters: Any) -> Trial:
    state = TrialState.FAIL if value is None else TrialState.COMPLETE
    metrics = {} if value is None else {"bits_per_byte": value}
    return Trial(number, state, parameters, metrics, {}, None, 1, None, None)


SPEC = parse_spec({"name": "x", "proxy": {"train_bytes": 1000}, "max_trial_count": 1})


@pytest.mark.parametrize(("current", "wins"), [({"depth": 2}, 1), ({"depth": 1}, 0), (None, 0)])
def test_of_equal_settings_the_old_one_wins(current: Any, wins: int) -> None:
    found = [trial(0, 2.0, depth=1, seed=0), trial(1, 2.0, depth=2, seed=0)]
    winner = find_winner(SPEC, found, current)
    assert winner is not None
    assert winner.trial == wins


def test_the_winner_has_the_best_mean_over_all_seeds_at_its_best_inner_point() -> None:
    found = [
        trial(0, 2.0, depth=1, learning_rate=0.1, seed=0),
        trial(1, 2.4, depth=1, learning_rate=0.1, seed=1),
        trial(2, 1.0, depth=1, learning_rate=0.2, seed=0),
        trial(3, None, depth=1, learning_rate=0.2, seed=1),
        trial(4, 2.1, depth=2, learning_rate=0.1, seed=0),
        trial(5, 2.1, depth=2, learning_rate=0.1, seed=1),
    ]
    winner = find_winner(SPEC, found, {"depth": 2})
    assert winner is not None
    assert (winner.trial, winner.value, winner.runs) == (4, pytest.approx(2.1), 2)
    assert winner.parameters == {"depth": 2, "learning_rate": 0.1}
    assert winner.current is True
    assert find_winner(SPEC, found, {"depth": 1}).current is False  # type: ignore[union-attr]
    assert find_winner(SPEC, found[3:4], None) is None


def test_leaders_win_by_their_fresh_seeds_alone() -> None:
    def fresh(number: int, leader: int, value: float) -> Trial:
        attributes = {"origin": "replicate", "replicate_of": leader, "replicate": number}
        return Trial(number, TrialState.COMPLETE, {}, {"bits_per_byte": value}, attributes, None, 1, None, None)

    found = [trial(0, 1.0, depth=1), trial(1, 1.5, depth=2), fresh(2, 0, 2.0), fresh(3, 1, 1.6)]
    winner = find_winner(SPEC, found, None)
    assert winner is not None
    assert (winner.trial, winner.rule, winner.value, winner.current) == (1, "fresh_seeds", 1.6, None)


def test_of_several_objectives_the_knee_wins() -> None:
    objectives = [{"metric": "bits_per_byte"}, {"metric": "total_parameters"}]
    spec = parse_spec({"name": "x", "objectives": objectives, "proxy": {"train_bytes": 1000}, "max_trial_count": 1})
    found = [
        Trial(
            number,
            TrialState.COMPLETE,
            {"depth": number},
            {"bits_per_byte": loss, "total_parameters": size},
            {},
            None,
            1,
            None,
            None,
        )
        for number, (loss, size) in enumerate([(3.0, 1.0), (2.1, 1.1), (2.0, 9.0)])
    ]
    winner = find_winner(spec, found, None)
    assert winner is not None
    assert (winner.trial, winner.rule) == (1, "knee")


def test_the_example_of_the_page_is_a_campaign_and_every_field_is_described() -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    parsed = parse_campaign(load_spec_yaml(example))
    assert [label for label, _ in parsed.document.rungs] == ["baseline", "+ tokenizer", "+ inheritance"]
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    for model in (CampaignDocument, Baseline, Stage, Ladder):
        for name in model.model_fields:
            assert re.search(rf"[`.]{name}[`.]", rows), name
    assert all(f"`{name}`" in PAGE for name in NETWORK & PARAMETER_NAMES)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_a_campaign_whose_stages_stand_by_themselves(name: str) -> None:
    parsed = parse_campaign(load_preset(name))
    for stage, study in zip(parsed.document.stages, parsed.stages, strict=True):
        models = [(stage.study.get(section) or {}).get(field) for section, field in MODELS.items()]
        if any(model and model["kind"] == "stage" for model in models):
            with pytest.raises(InvalidInput, match="run the whole campaign"):
                load_preset_study(name, stage.name)
        else:
            assert parse_spec(load_preset_study(name, stage.name)).max_trial_count <= study.spec.max_trial_count
