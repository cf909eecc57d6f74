"""Compressor as a campaign: what its search finds without training, and where the teacher enters."""

from pathlib import Path

import pytest

from model.errors import InvalidInput
from search.samplers import build_sampler
from studies.campaigns.parsing import ParsedCampaign, parse_campaign
from studies.campaigns.presets import load_preset, load_preset_study
from studies.spec import ModelOfTrial, build_space, search_problem

NAMES = ["compressor", "compressor-3mb"]


@pytest.fixture(params=NAMES)
def campaign(request: pytest.FixtureRequest) -> ParsedCampaign:
    return parse_campaign(load_preset(request.param))


def test_the_ladder_shows_what_the_search_and_what_the_teacher_brings(campaign: ParsedCampaign) -> None:
    assert [label for label, _ in campaign.document.rungs] == ["baseline", "zero-cost architecture", "+ distillation"]
    seeds = [rung.inner["seed"] for rung in campaign.rungs]
    assert seeds[0] == seeds[1] == seeds[2]
    assert [rung.teacher is None for rung in campaign.rungs] == [True, True, False]
    teacher = campaign.rungs[-1].teacher
    assert teacher is not None
    assert (teacher.weight, teacher.temperature) == (1.0, 1.0)
    assert isinstance(teacher.model, ModelOfTrial)


def test_the_stages_train_a_teacher_then_few_networks_then_the_winner(campaign: ParsedCampaign) -> None:
    teacher, search, distillation = (stage.spec for stage in campaign.stages)
    assert teacher.proxy.keep_weights
    assert teacher.max_trial_count == 1
    assert search.sampler.kind == "zero_cost"
    assert search.max_trial_count == (search.sampler.first or 0) * len(build_space(search).inner_points)
    assert campaign.stages[1].current is None, "the hand-shrunk network would be among the searched ones"
    assert distillation.teacher is not None
    assert search.teacher is None


@pytest.mark.chaos
def test_the_search_finds_nearly_the_network_of_the_paper() -> None:
    """12 layers of 96 channels, an FFN of 64 and a vocabulary of 1000 are the 3 MB model of the authors' README; a
    SwiGLU has three matrices where theirs has two, so that 48 channels cost what 72 would there.
    """
    search = parse_campaign(load_preset("compressor-3mb")).stages[1].spec
    best = build_sampler(search_problem(search, "study", Path("unused"))).point(0)
    assert best is not None
    assert best.values == {"vocabulary_size": 1000, "depth": 12, "width": 96, "ffn_ratio": 0.5}


def test_a_stage_that_needs_the_teacher_is_refused_by_itself() -> None:
    assert load_preset_study("compressor", "teacher")["proxy"]["keep_weights"] is True
    with pytest.raises(InvalidInput, match="run the whole campaign, preset:compressor"):
        load_preset_study("compressor", "distillation")
