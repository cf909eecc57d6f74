"""Parents and teachers of a study: trials that kept their weights, and folders below the allowed ones."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from model.errors import InvalidInput
from studies import service
from studies.database import Database
from studies.errors import Conflict
from studies.export_folders import remove_weights
from studies.problem import stored_problem
from studies.records import Study, StudyState, Trial, TrialState
from studies.repository import studies, trials
from studies.tables import TrialRow
from trainer.config import TrialSettings

KEY = "ab" * 32
PARENT = {"depth": 4, "width": 128, "head_dim": 32}
ATTRIBUTES = {"ffn_width": 344, "kv_heads": 4, "spent_flops": 3e9, "weights_key": KEY}
Json = dict[str, Any]


@pytest.fixture
def create(database: Database, document: Json, roots: list[Path]) -> Callable[..., Study]:
    def create(owner: str = "ada", proxy: Json | None = None, **changes: Any) -> Study:
        spec = {**document, **changes, "proxy": {**document["proxy"], "vocabulary_size": 512, **(proxy or {})}}
        with database.session() as session:
            return service.create_study(session, owner, spec, roots)

    return create


@pytest.fixture
def parent(database: Database, create: Callable[..., Study]) -> Study:
    """A completed study whose trial 2 is the best, and whose trial 3 failed."""
    study = create(name="parents", proxy={"keep_weights": True})
    values = {0: 2.5, 1: 2.4, 2: 2.1}
    ended = datetime.now(UTC)
    rows = [
        Trial(
            number=number,
            state=TrialState.COMPLETE if number in values else TrialState.FAIL,
            parameters={"depth": PARENT["depth"], "learning_rate": 1e-3},
            metrics={"bits_per_byte": values[number], "train_flops": 2e9} if number in values else {},
            attributes={**ATTRIBUTES, "weights_key": f"{number:064x}"},
            reason=None,
            attempts=1,
            started_at=ended,
            finished_at=ended,
        )
        for number in range(4)
    ]
    with database.session() as session:
        trials.add_many(session, study.id, rows)
        studies.set_state(session, study.id, StudyState.COMPLETED)
    return study


def from_trial(study: int, trial: int | str = "best") -> Json:
    return {"kind": "trial", "study": study, "trial": trial}


def heir(study: int, trial: int | str = "best") -> Json:
    """The field of a spec that inherits."""
    return {"inherit": {"parent": from_trial(study, trial), "neurons": "l1"}}


def set_attributes(database: Database, study: Study, number: int, attributes: Json) -> None:
    with database.session() as session:
        of_trial = (TrialRow.study_id == study.id, TrialRow.number == number)
        session.execute(update(TrialRow).where(*of_trial).values(attributes=attributes))


def refusal(create: Callable[..., Study], **changes: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        create(**changes)
    return caught.value


def test_the_best_trial_is_found_and_its_number_stored(parent: Study, create: Callable[..., Study]) -> None:
    study = create(**heir(parent.id))
    assert study.spec["inherit"]["parent"] == from_trial(parent.id, 2)
    taught = create(teacher={"model": from_trial(parent.id, 0)})
    assert taught.spec["teacher"]["model"]["trial"] == 0


def test_the_same_spec_goes_on_with_the_same_study(
    parent: Study, create: Callable[..., Study], database: Database, document: Json, roots: list[Path]
) -> None:
    study = create(**heir(parent.id))
    spec = {**document, "proxy": {**document["proxy"], "vocabulary_size": 512}, **heir(parent.id)}
    prepared = service.prepare_spec(spec, roots)
    with database.read_session() as session:
        found = service.find_unfinished(session, "ada", prepared)
    assert found is not None
    assert found.id == study.id


def test_a_search_gets_the_folder_and_what_training_the_parent_took(
    parent: Study, create: Callable[..., Study], database: Database, tmp_path: Path
) -> None:
    study = create(**heir(parent.id), teacher={"model": from_trial(parent.id, 1)})
    for number in (1, 2):
        folder = tmp_path / "storage" / "weights" / f"{number:064x}"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").touch()
    with database.read_session() as session:
        settings = stored_problem(session, study, tmp_path / "storage").space.settings
    assert isinstance(settings, TrialSettings)
    assert settings.inherit is not None
    assert settings.teacher is not None
    assert settings.inherit.parent == str(tmp_path / "storage" / "weights" / f"{2:064x}")
    assert settings.inherit.parent_train_flops == 3e9
    assert settings.teacher.teacher == str(tmp_path / "storage" / "weights" / f"{1:064x}")
    assert settings.teacher.teacher_train_flops == 3e9


def test_what_a_teacher_took_is_counted_with_that_of_its_own_teacher(
    parent: Study, create: Callable[..., Study], database: Database, tmp_path: Path
) -> None:
    set_attributes(database, parent, 1, {**ATTRIBUTES, "teacher_train_flops": 4e9, "parent_train_flops": 1e9})
    study = create(teacher={"model": from_trial(parent.id, 1)})
    folder = tmp_path / "weights" / KEY
    folder.mkdir(parents=True)
    (folder / "model.safetensors").touch()
    with database.read_session() as session:
        settings = stored_problem(session, study, tmp_path).space.settings
    assert isinstance(settings, TrialSettings)
    assert settings.teacher is not None
    assert settings.teacher.teacher_train_flops == 8e9


def test_a_teacher_that_is_too_short_or_knows_fewer_tokens_is_refused(
    parent: Study, create: Callable[..., Study]
) -> None:
    teacher = {"model": from_trial(parent.id)}
    own = parent.spec["proxy"]["sequence_length"]
    longer = {"type": "categorical", "choices": [own, 2 * own]}
    depth = {"type": "int", "low": 2, "high": 4}
    refused = refusal(create, teacher=teacher, space={"depth": depth, "sequence_length": longer})
    assert (refused.field, f"made for {own} tokens" in refused.reason) == ("space.sequence_length", True)
    refused = refusal(create, teacher=teacher, proxy={"vocabulary_size": 513})
    assert (refused.field, "knows 512 tokens" in refused.reason) == ("proxy.vocabulary_size", True)
    assert create(teacher=teacher, space={"depth": {"type": "int", "low": 2, "high": 8}}).id


def test_weights_that_are_gone_end_the_search_before_it_begins(
    parent: Study, create: Callable[..., Study], database: Database, tmp_path: Path
) -> None:
    study = create(**heir(parent.id))
    with database.read_session() as session, pytest.raises(InvalidInput, match="no longer in") as caught:
        stored_problem(session, study, tmp_path)
    assert caught.value.field == "inherit.parent"


def test_another_owners_study_is_answered_like_a_missing_one(parent: Study, create: Callable[..., Study]) -> None:
    foreign = refusal(create, owner="eve", **heir(parent.id))
    missing = refusal(create, owner="eve", **heir(parent.id + 1000))
    assert foreign.field == missing.field == "inherit.parent.study"
    assert foreign.reason == f"there is no study {parent.id}"
    assert missing.reason == f"there is no study {parent.id + 1000}"


def test_what_a_trial_cannot_give_is_refused(parent: Study, create: Callable[..., Study], database: Database) -> None:
    keepless = create(name="keeps nothing")
    assert "proxy.keep_weights: true" in refusal(create, **heir(keepless.id)).remedy
    failed = refusal(create, **heir(parent.id, 3))
    assert failed.field == "inherit.parent.trial"
    assert failed.reason == f"trial 3 of study {parent.id} is FAIL and has no weights"
    assert "has no trial 77" in refusal(create, **heir(parent.id, 77)).reason
    running = create(name="runs", proxy={"keep_weights": True})
    unknown = refusal(create, teacher={"model": from_trial(running.id)})
    assert (unknown.field, "QUEUED" in unknown.reason) == ("teacher.model.trial", True)


@pytest.mark.parametrize("key", ["../../../etc", "/etc/passwd", "..", 5])
def test_a_row_cannot_lead_out_of_the_storage(
    parent: Study, create: Callable[..., Study], database: Database, key: object
) -> None:
    set_attributes(database, parent, 2, {**ATTRIBUTES, "weights_key": key})
    assert "has no weights" in refusal(create, **heir(parent.id)).reason


def test_a_space_beyond_the_parent_is_refused_with_its_field(parent: Study, create: Callable[..., Study]) -> None:
    deep = {"space": {"depth": {"type": "int", "low": 1, "high": 5}}}
    error = refusal(create, **heir(parent.id), **deep)
    assert (error.field, error.reason[:22]) == ("space.depth", "reaches 5, and the par")
    assert "at most 4" in error.remedy
    wide = {"space": {"width": {"type": "categorical", "choices": [64, 256]}}}
    assert refusal(create, **heir(parent.id), **wide).field == "space.width"
    assert refusal(create, **heir(parent.id), proxy={"head_dim": 16}).field == "proxy.head_dim"
    ratio = refusal(create, **heir(parent.id), proxy={"ffn_ratio": 4})
    assert (ratio.field, "ffn_width" in ratio.reason) == ("inherit.parent", True)
    assert create(**heir(parent.id), proxy={"width": 64, "vocabulary_size": 1024}).id


def test_a_clone_inherits_from_the_same_trial(
    parent: Study, create: Callable[..., Study], database: Database, roots: list[Path]
) -> None:
    study = create(**heir(parent.id))
    with database.session() as session:
        assert service.clone_study(session, "ada", study.id, roots).spec["inherit"] == study.spec["inherit"]


@pytest.fixture
def folder(roots: list[Path]) -> Path:
    """A folder of ``transformers``; nothing here opens its weights."""
    folder = roots[0] / "parent"
    folder.mkdir()
    config = {
        "model_type": "llama",
        "vocab_size": 300,
        "hidden_size": PARENT["width"],
        "intermediate_size": 344,
        "num_hidden_layers": PARENT["depth"],
        "num_attention_heads": 4,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").touch()
    (folder / "tokenizer.json").touch()
    return folder


def of_folder(path: str) -> Json:
    return {"inherit": {"parent": {"kind": "folder", "path": path}}}


def test_a_folder_below_an_allowed_one_becomes_an_absolute_path(folder: Path, create: Callable[..., Study]) -> None:
    study = create(**of_folder("parent"), proxy={"qk_norm": False})
    assert study.spec["inherit"]["parent"] == {"kind": "folder", "path": str(folder)}


def test_a_folder_that_cannot_be_inherited_is_refused(folder: Path, create: Callable[..., Study]) -> None:
    assert refusal(create, **of_folder("parent"), space={"depth": {"type": "int", "low": 1, "high": 9}}).field == (
        "space.depth"
    )
    assert "qk_norm" in refusal(create, **of_folder("parent"), proxy={"qk_norm": True}).reason
    (folder / "tokenizer.json").unlink()
    assert refusal(create, **of_folder("parent")).field == "inherit.parent.tokenizer"
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").touch()
    pickled = refusal(create, **of_folder("parent"))
    assert (pickled.field, "pickled" in pickled.reason) == ("inherit.parent.weights", True)
    (folder / "config.json").write_text("{}")
    assert refusal(create, teacher={"model": {"kind": "folder", "path": "parent"}}).field == (
        "teacher.model.config.model_type"
    )


@pytest.mark.parametrize("path", ["..", "/etc", "nowhere", "link", "parent\0", "a" * 5000])
def test_no_folder_outside_the_allowed_ones_is_named(
    folder: Path, create: Callable[..., Study], tmp_path: Path, path: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (folder.parent / "link").symlink_to(outside)
    assert refusal(create, **of_folder(path)).field == "inherit.parent.path"


def test_a_link_out_of_a_folder_is_refused(folder: Path, create: Callable[..., Study], tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text((folder / "config.json").read_text())
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to(secret)
    assert "link out of its folder" in refusal(create, **of_folder("parent")).reason


def test_deleting_a_study_names_the_weights_that_no_other_trial_has(
    parent: Study, create: Callable[..., Study], database: Database, tmp_path: Path
) -> None:
    twin = create(name="twin", proxy={"keep_weights": True})
    with database.session() as session:
        (same,) = trials.listed(session, parent.id, [1])
        trials.add_many(session, twin.id, [same])
        studies.set_state(session, twin.id, StudyState.COMPLETED)
        left = service.delete_study(session, "ada", parent.id)
    assert left.weights == [f"{number:064x}" for number in (0, 2, 3)]
    for number in range(4):
        (tmp_path / "weights" / f"{number:064x}").mkdir(parents=True)
    remove_weights(tmp_path, [*left.weights, "../weights", ""])
    assert [path.name for path in (tmp_path / "weights").iterdir()] == [f"{1:064x}"]
    with database.session() as session:
        assert service.delete_study(session, "ada", twin.id).weights == [f"{1:064x}"]


def test_a_study_whose_weights_are_needed_is_not_deleted(
    parent: Study, create: Callable[..., Study], database: Database
) -> None:
    heiress, taught = create(**heir(parent.id)), create(teacher={"model": from_trial(parent.id)})
    for study in (heiress, taught):
        with database.session() as session, pytest.raises(Conflict, match=f"study {study.id} .QUEUED. starts from"):
            service.delete_study(session, "ada", parent.id)
        with database.session() as session:
            service.cancel_study(session, "ada", study.id)
    with database.session() as session:
        service.delete_study(session, "ada", parent.id)
