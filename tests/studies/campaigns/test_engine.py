"""Campaigns as rows, on both databases: they go on by themselves, once, whatever happens to their studies."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from model.errors import InvalidInput
from studies import service
from studies.campaigns.request import CampaignRequest
from studies.campaigns.stages import TAG
from studies.database import Database
from studies.errors import Conflict, NotFound
from studies.records import Campaign, CampaignState, Study, StudyState
from studies.repository import campaigns, studies
from studies.service import campaigns as campaigns_service
from studies.service.campaigns import CampaignProgress, ResumeRequest, steps
from studies.spec import StudySpec, build_space
from studies.workers import campaigns as worker
from studies.workers.campaigns import INTERNAL, advance_campaign, advance_campaigns
from tests.studies.campaigns.planted import Loss, document, planted_loss, train
from trainer.errors import DIVERGED


def create(database: Database, roots: list[Path], given: dict[str, Any] | None = None) -> Campaign:
    prepared = service.prepare_campaign(CampaignRequest(document=given or document()), roots)
    with database.session() as session:
        return service.add_campaign(session, "ada", prepared)


def look(database: Database, campaign: Campaign) -> CampaignProgress:
    with database.read_session() as session:
        return service.campaign_progress(session, "ada", campaign.id)


def spec_of(database: Database, study_id: int | None) -> StudySpec:
    with database.read_session() as session:
        study = studies.get(session, study_id or 0)
    assert study is not None
    return StudySpec.model_validate(study.spec)


def run_stage(database: Database, campaign: Campaign, place: int, loss: Loss = planted_loss) -> None:
    study_id = look(database, campaign).stages[place].study_id
    assert study_id is not None
    train(database, study_id, loss)
    advance_campaigns(database)


def run_stages(database: Database, campaign: Campaign) -> None:
    for place in range(3):
        run_stage(database, campaign, place)


def resume(database: Database, campaign: Campaign, roots: list[Path], stages: Mapping[str, Any] | None = None) -> None:
    request = ResumeRequest(stages=dict(stages or {}))
    with database.read_session() as session:
        resumption = service.prepare_resumption(session, "ada", campaign.id, request, roots)
    with database.session() as session:
        service.resume_campaign(session, "ada", resumption)


def test_it_runs_its_stages_in_order_and_then_the_ladder(database: Database, roots: list[Path]) -> None:
    campaign = create(database, roots)
    for place, adopted in enumerate(({"vocabulary_size": 400}, {"depth": 4}, {})):
        found = look(database, campaign)
        stage = found.stages[place]
        assert (found.campaign.state, stage.state) == (CampaignState.RUNNING, StudyState.QUEUED)
        assert [later.state for later in found.stages[place + 1 :]] == ["WAITING"] * (2 - place)
        assert not advance_campaign(database, campaign.id)
        train(database, stage.study_id or 0)
        assert advance_campaign(database, campaign.id)
        outcome = look(database, campaign).stages[place].outcome
        assert outcome is not None
        assert adopted.items() <= outcome.adopted.items()
    found = look(database, campaign)
    assert [rung.name for rung in found.rungs] == ["baseline", "tokenizer", "architecture"]
    assert [rung.state for rung in found.rungs] == [StudyState.QUEUED] * 3
    for rung in found.rungs:
        train(database, rung.study_id or 0)
    advance_campaigns(database)
    ended = look(database, campaign).campaign
    assert (ended.state, ended.error) == (CampaignState.COMPLETED, None)
    assert ended.finished_at is not None


def test_rungs_train_the_very_networks_of_the_winners_at_the_same_fresh_seeds(
    database: Database, roots: list[Path]
) -> None:
    campaign = create(database, roots)
    run_stages(database, campaign)
    found = look(database, campaign)
    outcomes = [stage.outcome for stage in found.stages]
    for rung, outcome in zip(found.rungs[1:], outcomes, strict=False):
        spec = spec_of(database, rung.study_id)
        space = build_space(spec)
        trial = space.trial(space.point({}).values, 0)
        assert outcome is not None
        assert trial.attributes["total_parameters"] == outcome.setting.total_parameters
        assert trial.attributes["ffn_ratio_realised"] == outcome.setting.proxy["ffn_ratio"]
        assert spec.proxy.vocabulary_size == 400
        assert (spec.inner["seed"], spec.proxy.train_bytes) == ((100, 101, 102), 20_000)
        assert TAG in spec.tags
    specs = [spec_of(database, rung.study_id) for rung in found.rungs]
    assert {spec.proxy.validation_bytes for spec in specs} == {1000}
    assert specs[0].proxy.vocabulary_size == 300
    rate = spec_of(database, found.stages[2].study_id)
    assert (rate.proxy.depth, rate.proxy.width) == (4, outcomes[1].setting.proxy["width"])  # type: ignore[union-attr]


def test_a_winner_that_is_the_old_setting_changes_nothing_and_its_rungs_share_a_study(
    database: Database, roots: list[Path]
) -> None:
    def small(settings: Mapping[str, Any]) -> float:
        return float(settings["vocabulary_size"]) / 100 + float(settings["depth"] != 2) + settings["learning_rate"]

    campaign = create(database, roots)
    for place in range(3):
        run_stage(database, campaign, place, small)
    found = look(database, campaign)
    first = found.stages[0].outcome
    assert first is not None
    assert (first.winner.current, first.adopted) == (True, {})
    assert len({rung.study_id for rung in found.rungs}) == 1
    train(database, found.rungs[0].study_id or 0)
    advance_campaigns(database)
    assert look(database, campaign).campaign.state is CampaignState.COMPLETED


def test_the_setting_that_a_stage_starts_from_is_tried_beside_its_design(database: Database, roots: list[Path]) -> None:
    campaign = create(database, roots)
    run_stage(database, campaign, 0)
    run_stage(database, campaign, 1)
    spec = spec_of(database, look(database, campaign).stages[2].study_id)
    assert [dict(point) for point in spec.start.points] == [{"learning_rate": 3e-3}]
    assert spec.max_trial_count == 9
    grid = spec_of(database, look(database, campaign).stages[1].study_id)
    assert (grid.start.points, grid.max_trial_count) == ((), 8)


def test_of_processes_that_advance_at_once_one_creates_the_study(database: Database, roots: list[Path]) -> None:
    campaign = create(database, roots)
    train(database, look(database, campaign).stages[0].study_id or 0)
    with database.read_session() as session:
        step = service.next_step(session, campaign.id)
    assert step is not None
    taken: list[bool] = []

    def take() -> None:
        with database.session() as session:
            taken.append(service.take_step(session, step))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False, False, False, True]
    with database.read_session() as session:
        assert len(service.list_studies(session, "ada")) == 2


def test_who_dies_between_looking_and_storing_leaves_the_rows_as_they_were(
    database: Database, roots: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = create(database, roots)
    train(database, look(database, campaign).stages[0].study_id or 0)
    before = look(database, campaign)

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(campaigns, "set_state", die)
        with pytest.raises(KeyboardInterrupt):
            advance_campaign(database, campaign.id)
    assert look(database, campaign) == before
    assert advance_campaign(database, campaign.id)
    assert look(database, campaign).stages[1].state is StudyState.QUEUED


def test_a_stage_that_fails_ends_the_campaign_with_its_reason_and_is_begun_anew(
    database: Database, roots: list[Path]
) -> None:
    campaign = create(database, roots)
    run_stage(database, campaign, 0)
    run_stage(database, campaign, 1, lambda settings: None)
    failed = look(database, campaign)
    first = failed.stages[1].study_id
    assert failed.campaign.state is CampaignState.FAILED
    assert failed.campaign.error == f"study {first} of stage architecture is FAILED: no trial completed"
    with database.read_session() as session:
        assert campaigns.waiting(session) == []
    resume(database, campaign, roots)
    advance_campaigns(database)
    again = look(database, campaign)
    assert (again.campaign.state, again.campaign.error) == (CampaignState.RUNNING, None)
    assert again.stages[1].study_id not in (None, first)
    assert again.stages[0] == failed.stages[0]
    run_stage(database, campaign, 1)
    assert look(database, campaign).stages[2].state is StudyState.QUEUED


def test_a_stage_that_failed_can_be_repaired(database: Database, roots: list[Path]) -> None:
    campaign = create(database, roots)
    run_stage(database, campaign, 0)
    run_stage(database, campaign, 1, lambda settings: None)
    repaired = {
        "space": {"depth": {"type": "categorical", "choices": [1, 2]}},
        "sampler": {"kind": "grid"},
        "max_trial_count": 2,
    }
    with pytest.raises(InvalidInput) as refused:
        resume(database, campaign, roots, {"architecture": {**repaired, "sampler": {"kind": "best"}}})
    assert refused.value.field == "stages.1.study.sampler.kind"
    resume(database, campaign, roots, {"architecture": repaired})
    advance_campaigns(database)
    assert spec_of(database, look(database, campaign).stages[1].study_id).max_trial_count == 2


def test_what_has_ended_well_cannot_be_replaced(database: Database, roots: list[Path]) -> None:
    campaign = create(database, roots)
    run_stage(database, campaign, 0)
    run_stage(database, campaign, 1, lambda settings: None)
    with pytest.raises(Conflict, match="later ones build on its winner"):
        resume(database, campaign, roots, {"tokenizer": {"max_trial_count": 1}})
    with pytest.raises(InvalidInput, match="no such stage"):
        resume(database, campaign, roots, {"rounds": {"max_trial_count": 1}})


def test_a_cancelled_study_cancels_the_campaign(database: Database, roots: list[Path]) -> None:
    campaign = create(database, roots)
    with database.session() as session:
        service.cancel_study(session, "ada", look(database, campaign).stages[0].study_id or 0)
    advance_campaigns(database)
    assert look(database, campaign).campaign.state is CampaignState.CANCELLED


def test_a_campaign_rests_and_is_given_up_with_its_studies(database: Database, roots: list[Path]) -> None:
    campaign = create(database, roots)
    with database.session() as session:
        service.pause_campaign(session, "ada", campaign.id)
    assert look(database, campaign).stages[0].state is StudyState.PAUSED
    train(database, look(database, campaign).stages[0].study_id or 0)
    advance_campaigns(database)
    assert look(database, campaign).stages[1].state == "WAITING"
    resume(database, campaign, roots)
    advance_campaigns(database)
    assert look(database, campaign).stages[1].state is StudyState.QUEUED
    with database.session() as session:
        service.cancel_campaign(session, "ada", campaign.id)
    given_up = look(database, campaign)
    assert (given_up.campaign.state, given_up.stages[1].state) == (CampaignState.CANCELLED, StudyState.CANCELLED)
    with database.session() as session, pytest.raises(Conflict, match="cannot pause"):
        service.pause_campaign(session, "ada", campaign.id)


def test_a_deleted_study_fails_its_campaign_before_it_has_ended_and_not_after(
    database: Database, roots: list[Path]
) -> None:
    campaign = create(database, roots)
    first = look(database, campaign).stages[0].study_id or 0
    run_stage(database, campaign, 0)
    with database.session() as session:
        service.delete_study(session, "ada", first)
        service.delete_study(session, "ada", look(database, campaign).stages[1].study_id or 0)
    advance_campaigns(database)
    found = look(database, campaign)
    assert [stage.state for stage in found.stages] == ["DELETED", "DELETED", "WAITING"]
    assert found.campaign.error == "the study of stage architecture was deleted"
    assert found.stages[0].outcome is not None
    resume(database, campaign, roots)
    for place in (1, 2):
        advance_campaigns(database)
        run_stage(database, campaign, place)
    assert [rung.state for rung in look(database, campaign).rungs] == [StudyState.QUEUED] * 3


def test_a_failed_rung_is_trained_again_alone(database: Database, roots: list[Path]) -> None:
    campaign = create(database, roots)
    run_stages(database, campaign)
    before = look(database, campaign).rungs
    for rung, loss in zip(before, (planted_loss, lambda settings: None, planted_loss), strict=True):
        train(database, rung.study_id or 0, loss)
    advance_campaigns(database)
    failed = look(database, campaign)
    assert failed.campaign.error == f"study {before[1].study_id} of rung tokenizer is FAILED: no trial completed"
    resume(database, campaign, roots)
    advance_campaigns(database)
    after = look(database, campaign).rungs
    assert [old.study_id == new.study_id for old, new in zip(before, after, strict=True)] == [True, False, True]
    train(database, after[1].study_id or 0)
    advance_campaigns(database)
    assert look(database, campaign).campaign.state is CampaignState.COMPLETED


def test_what_makes_the_next_study_impossible_fails_the_campaign_and_keeps_the_winner(
    database: Database, roots: list[Path]
) -> None:
    given = document()
    given["stages"][1]["study"]["start"] = {"studies": [999]}
    given["stages"][1]["study"] |= {"purpose": "optimise", "sampler": {"kind": "tpe"}}
    campaign = create(database, roots, given)
    run_stage(database, campaign, 0)
    found = look(database, campaign)
    assert found.campaign.state is CampaignState.FAILED
    assert "999" in (found.campaign.error or "")
    assert found.stages[0].outcome is not None


def test_an_error_inside_does_not_keep_other_campaigns_from_going_on(
    database: Database, roots: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = create(database, roots), create(database, roots)
    for campaign in (broken, sound):
        train(database, look(database, campaign).stages[0].study_id or 0)
    advance = advance_campaign

    def advance_one(database: Database, campaign_id: int) -> bool:
        if campaign_id == broken.id:
            raise KeyError("a mistake of ours")
        return advance(database, campaign_id)

    monkeypatch.setattr(worker, "advance_campaign", advance_one)
    advance_campaigns(database)
    assert (look(database, broken).campaign.state, look(database, broken).campaign.error) == ("FAILED", INTERNAL)
    assert look(database, sound).stages[1].state is StudyState.QUEUED


def test_a_row_that_the_database_refuses_fails_its_campaign_alone(
    database: Database, roots: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = create(database, roots), create(database, roots)
    for campaign in (broken, sound):
        train(database, look(database, campaign).stages[0].study_id or 0)
    add = steps.add_prepared_study

    def refuse_the_first(session: Session, owner: str, spec: StudySpec) -> Study:
        monkeypatch.setattr(steps, "add_prepared_study", add)
        session.execute(text("INSERT INTO owners (name) VALUES (NULL)"))
        return add(session, owner, spec)

    monkeypatch.setattr(steps, "add_prepared_study", refuse_the_first)
    advance_campaigns(database)
    assert (look(database, broken).campaign.state, look(database, broken).campaign.error) == ("FAILED", INTERNAL)
    assert look(database, sound).stages[1].state is StudyState.QUEUED


def test_a_database_that_does_not_answer_is_no_campaign_s_fault(
    database: Database, roots: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = create(database, roots)
    train(database, look(database, campaign).stages[0].study_id or 0)

    def gone(*_: Any) -> bool:
        raise OperationalError("SELECT 1", {}, Exception("the server closed the connection"))

    monkeypatch.setattr(worker, "advance_campaign", gone)
    with pytest.raises(OperationalError):
        advance_campaigns(database)
    assert look(database, campaign).campaign.state is CampaignState.RUNNING


def test_a_rung_of_which_every_run_diverged_has_ended(database: Database, roots: list[Path]) -> None:
    campaign = create(database, roots)
    run_stages(database, campaign)
    for rung, loss in zip(
        look(database, campaign).rungs, (planted_loss, lambda settings: None, planted_loss), strict=True
    ):
        train(database, rung.study_id or 0, loss, lost=f"{DIVERGED}: the loss is nan")
    advance_campaigns(database)
    assert look(database, campaign).campaign.state is CampaignState.COMPLETED
    with database.read_session() as session:
        judged = service.campaign_ladder(session, "ada", campaign.id).judgement
    assert judged.rungs[1].step is not None
    assert judged.rungs[1].step.verdict == "worse"


def test_a_stage_that_fixes_what_it_adopts_does_not_compare_it(database: Database, roots: list[Path]) -> None:
    given = document()
    fixed = {"proxy": {"init_scheme": "gpt2"}, "inner": {"seed": [0, 1]}, "max_trial_count": 2}
    given["stages"][2] = {"name": "scheme", "adopt": ["init_scheme"], "study": fixed}
    campaign = create(database, roots, given)
    run_stages(database, campaign)
    outcome = look(database, campaign).stages[2].outcome
    assert outcome is not None
    assert (outcome.winner.current, outcome.adopted) == (None, {"init_scheme": "gpt2"})


def test_rungs_that_share_a_study_go_on_after_a_rest(database: Database, roots: list[Path]) -> None:
    campaign = create(database, roots)
    for place in range(3):
        run_stage(database, campaign, place, lambda settings: float(settings["vocabulary_size"] + settings["depth"]))
    rungs = look(database, campaign).rungs
    assert rungs[0].study_id == rungs[1].study_id
    with database.session() as session:
        service.pause_campaign(session, "ada", campaign.id)
    assert {rung.state for rung in look(database, campaign).rungs} == {StudyState.PAUSED}
    resume(database, campaign, roots)
    assert {rung.state for rung in look(database, campaign).rungs} == {StudyState.QUEUED}


def test_deleting_a_campaign_leaves_its_studies(database: Database, roots: list[Path]) -> None:
    campaign = create(database, roots)
    study = look(database, campaign).stages[0].study_id or 0
    with database.read_session() as session:
        assert service.campaign_of(session, study) == campaign
    with database.session() as session, pytest.raises(Conflict, match="cancel it first"):
        service.delete_campaign(session, "ada", campaign.id)
    with database.session() as session:
        service.cancel_campaign(session, "ada", campaign.id)
        service.delete_campaign(session, "ada", campaign.id)
    with database.read_session() as session:
        assert service.campaign_of(session, study) is None
        assert studies.state_of(session, study) is StudyState.CANCELLED


def test_it_belongs_to_its_owner_and_is_found_by_its_document(database: Database, roots: list[Path]) -> None:
    campaign = create(database, roots)
    prepared = service.prepare_campaign(CampaignRequest(document=document()), roots)
    with database.read_session() as session:
        assert campaigns_service.list_campaigns(session, "eve", None, None) == []
        with pytest.raises(NotFound):
            service.get_campaign(session, "eve", campaign.id)
        found = service.find_unfinished_campaign(session, "ada", prepared)
        assert found == campaign
        assert service.find_unfinished_campaign(session, "eve", prepared) is None
