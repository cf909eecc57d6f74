"""The paper's campaigns: each can be planned, all ask the same questions, and a stage is a study by itself."""

import pytest

from model.errors import InvalidInput
from studies.campaigns.parsing import parse_campaign
from studies.campaigns.presets import load_preset, load_preset_study
from studies.service.campaigns import plan_of
from studies.specs.parsing import parse_spec

NAMES = ("paper-cpu", "paper-gpu", "paper")
STAGES = ("tokenizer", "depth-width-ffn", "initialisation", "parent", "inheritance", "batch-lr", "rounds")
RUNGS = ("baseline", "+ tokenizer", "+ architecture", "+ inheritance", "+ batch and rate", "+ rounds")


@pytest.mark.parametrize("name", NAMES)
def test_a_campaign_can_be_planned_whole(name):
    parsed = parse_campaign(load_preset(name))
    assert tuple(stage.name for stage in parsed.document.stages) == STAGES
    assert tuple(label for label, _ in parsed.document.rungs) == RUNGS
    assert {study.spec.purpose for study in parsed.stages} == {"estimate"}
    plan = plan_of(parsed)
    adopting = [stage for stage in plan.stages if stage.adopt]
    assert all(stage.compares_current for stage in adopting if stage.name != "inheritance")
    assert plan.train_flops > 0
    target = parsed.document.baseline.constraints["total_parameters"]["target"]
    assert abs(parsed.baseline.total_parameters / target - 1) <= 0.03


@pytest.mark.parametrize("stage", STAGES)
def test_the_three_ask_the_same_questions(stage):
    documents = [load_preset(name) for name in NAMES]
    found = [next(one for one in document["stages"] if one["name"] == stage) for document in documents]
    assert len({(tuple(one.get("adopt", ())), one.get("rung")) for one in found}) == 1
    for section in ("space", "inner", "conditions"):
        assert len({frozenset(one["study"].get(section, {})) for one in found}) == 1
    assert len({frozenset(one["study"].get("constraints", {})) for one in found}) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "inheritance"])
def test_a_stage_is_a_study_by_itself(name, stage):
    assert parse_spec(load_preset_study(name, stage)).name == stage


def test_students_without_a_parent_say_what_to_run():
    with pytest.raises(InvalidInput, match="run the whole campaign, preset:paper-cpu"):
        load_preset_study("paper-cpu", "inheritance")


def test_the_parent_is_not_smaller_than_any_student_that_the_architecture_stage_may_choose():
    for name in NAMES:
        parsed = parse_campaign(load_preset(name))
        stages = {stage.name: study.spec for stage, study in zip(parsed.document.stages, parsed.stages, strict=True)}
        parent = stages["parent"].proxy
        width, ffn_width = (int(limit.split("<=")[1]) for limit in stages["depth-width-ffn"].constraints.expressions)
        declared = stages["depth-width-ffn"].space["depth"]
        deepest = max(declared.choices) if declared.type == "categorical" else declared.high
        assert parent.width >= width
        assert round(parent.ffn_ratio * parent.width) >= ffn_width
        assert parent.depth >= deepest
