"""What can be asked of stored studies, on both databases."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from model.errors import InvalidInput
from studies import service
from studies.database import Database
from studies.errors import Conflict, NotFound
from studies.records import OperationState, Study, StudyState, Trial, TrialState
from studies.repository import leases, operations, studies, trials
from studies.tables import StudyRow
from tests.large_tokenizers import WRITERS

TTL = timedelta(seconds=20)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def finished_trial(
    number: int, value: float | None, state: TrialState = TrialState.COMPLETE, metric: str = "bits_per_byte"
) -> Trial:
    metrics = {} if value is None else {metric: value}
    return Trial(number, state, {"depth": 2}, metrics, {}, None, 1, NOW, NOW)


@pytest.fixture
def study(database: Database, document: dict[str, Any], roots: list[Path]) -> Study:
    with database.session() as session:
        return service.create_study(session, "ada", document, roots)


def test_a_created_study_is_queued_with_its_corpus_resolved(study: Study, roots: list[Path]) -> None:
    assert (study.owner, study.name, study.state) == ("ada", "small study", StudyState.QUEUED)
    assert study.spec["proxy"]["corpus"]["path"] == str(roots[0] / "text.txt")
    assert study.spec["objectives"] == [{"metric": "bits_per_byte", "direction": "minimize"}]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "a\0b"}, "name"),
        ({"proxy": {"corpus": {"kind": "text", "path": "../secret.txt"}, "train_tokens": 10}}, "proxy.corpus.path"),
        ({"proxy": {"corpus": {"kind": "text", "path": "none.txt"}, "train_tokens": 10}}, "proxy.corpus.path"),
        (
            {"proxy": {"corpus": {"kind": "text", "path": "text.txt"}, "train_tokens": 10, "validation_bytes": 10**7}},
            "proxy.corpus",
        ),
        ({"max_trial_count": 0}, "max_trial_count"),
    ],
)
def test_an_unusable_spec_is_refused_and_nothing_is_stored(
    database: Database, document: dict[str, Any], roots: list[Path], changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal, database.session() as session:
        service.create_study(session, "ada", {**document, **changes}, roots)
    assert refusal.value.field == field
    with database.read_session() as session:
        assert service.list_studies(session, "ada") == []


@pytest.fixture
def large(roots: list[Path]) -> Path:
    return WRITERS["SentencePiece"](roots[0])


def test_a_large_tokenizer_is_resolved_below_the_roots(
    document: dict[str, Any], roots: list[Path], large: Path
) -> None:
    document["proxy"].update(tokenizer={"kind": "compressed", "path": large.name}, vocabulary_size=300)
    spec = service.prepare_spec(document, roots)
    assert spec.proxy.model_dump()["tokenizer"] == {"kind": "compressed", "path": str(large), "method": "frequency"}
    assert service.prepare_spec(spec.model_dump(mode="json"), roots) == spec


@pytest.mark.parametrize(
    ("path", "sizes", "field"),
    [
        ("../tokenizer.model", {"proxy": 300}, "proxy.tokenizer.path"),
        ("text.txt", {"proxy": 300}, "proxy.tokenizer.path"),
        ("tokenizer.model", {"proxy": 259}, "proxy.vocabulary_size"),
        ("tokenizer.model", {"proxy": 300, "inner": [300, 901]}, "inner.vocabulary_size"),
        (
            "tokenizer.model",
            {"proxy": 300, "space": {"type": "int", "low": 257, "high": 900}},
            "space.vocabulary_size",
        ),
    ],
)
def test_a_large_tokenizer_that_cannot_be_cut_is_refused(
    document: dict[str, Any], roots: list[Path], large: Path, path: str, sizes: dict[str, Any], field: str
) -> None:
    length = document["proxy"].pop("train_tokens")  # vocabularies are compared at equal bytes
    document["proxy"].update(tokenizer={"kind": "compressed", "path": path}, train_bytes=length)
    for section, declared in sizes.items():
        document[section]["vocabulary_size"] = declared
    with pytest.raises(InvalidInput) as refusal:
        service.prepare_spec(document, roots)
    assert refusal.value.field == field


def test_the_same_spec_is_found_while_it_is_unfinished(
    database: Database, study: Study, document: dict[str, Any], roots: list[Path]
) -> None:
    spec = service.prepare_spec(dict(reversed(document.items())), roots)
    other = service.prepare_spec({**document, "max_trial_count": 5}, roots)
    with database.session() as session:
        assert service.find_unfinished(session, "ada", spec) == study
        assert service.find_unfinished(session, "ada", other) is None
        assert service.find_unfinished(session, "grace", spec) is None
        studies.set_state(session, study.id, StudyState.COMPLETED)
        assert service.find_unfinished(session, "ada", spec) is None


def test_studies_are_listed_in_pages_newest_first(
    database: Database, document: dict[str, Any], roots: list[Path]
) -> None:
    with database.session() as session:
        ids = [service.create_study(session, "ada", document, roots).id for _ in range(3)]
        service.create_study(session, "grace", document, roots)
    with database.read_session() as session:
        assert [study.id for study in service.list_studies(session, "ada")] == ids[::-1]
        assert [study.id for study in service.list_studies(session, "ada", size=2)] == ids[:0:-1]
        assert [study.id for study in service.list_studies(session, "ada", before_id=ids[1], size=2)] == ids[:1]


def test_what_another_owner_has_is_not_there(database: Database, study: Study) -> None:
    calls: list[Callable[..., object]] = [
        service.get_study,
        service.list_trials,
        service.best_trial,
        service.list_formulas,
        service.list_exports,
        service.cancel_study,
        service.delete_study,
    ]
    for call in calls:
        with pytest.raises(NotFound), database.session() as session:
            call(session, "grace", study.id)
    with database.read_session() as session:
        assert service.get_study(session, "ada", study.id) == study


def test_trials_are_listed_in_pages(database: Database, study: Study) -> None:
    stored = [finished_trial(number, float(number)) for number in (0, 1, 3, 7)]
    with database.session() as session:
        trials.add_many(session, study.id, stored)
    with database.read_session() as session:
        assert service.list_trials(session, "ada", study.id) == stored
        assert service.list_trials(session, "ada", study.id, after_number=1, size=1) == stored[2:3]
        assert service.get_trial(session, "ada", study.id, 7) == stored[3]
        with pytest.raises(NotFound, match="no trial 2"):
            service.get_trial(session, "ada", study.id, 2)


@pytest.mark.parametrize(("direction", "order"), [("minimize", [2, 4, 0]), ("maximize", [0, 2, 4])])
def test_best_trials_follow_the_objective_and_are_complete(
    database: Database, document: dict[str, Any], roots: list[Path], direction: str, order: list[int]
) -> None:
    metric = {"minimize": "bits_per_byte", "maximize": "train_tokens_per_second"}[direction]
    document["objectives"] = [{"metric": metric, "direction": direction}]
    planted = [
        (3.0, TrialState.COMPLETE),
        (9.0 if direction == "maximize" else 1.0, TrialState.PRUNED),
        (2.0, TrialState.COMPLETE),
        (None, TrialState.FAIL),
        (2.0, TrialState.COMPLETE),
    ]
    stored = [finished_trial(number, value, state, metric) for number, (value, state) in enumerate(planted)]
    with database.session() as session:
        study = service.create_study(session, "ada", document, roots)
        assert service.best_trial(session, "ada", study.id) is None
        trials.add_many(session, study.id, stored)
        assert [trial.number for trial in service.best_trials(session, "ada", study.id, 10).trials] == order
        assert service.best_trial(session, "ada", study.id) == stored[order[0]]


@pytest.mark.parametrize(
    ("asked", "state"),
    [
        (["pause"], StudyState.PAUSED),
        (["pause", "resume"], StudyState.QUEUED),
        (["stop"], StudyState.STOPPING),
        (["pause", "cancel"], StudyState.CANCELLED),
    ],
)
def test_a_study_obeys(database: Database, study: Study, asked: list[str], state: StudyState) -> None:
    for verb in asked:
        with database.session() as session:
            changed: Study = getattr(service, f"{verb}_study")(session, "ada", study.id)
    assert changed.state is state
    assert (changed.finished_at is not None) == (state is StudyState.CANCELLED)


@pytest.mark.parametrize("verb", ["pause", "resume", "stop", "cancel"])
def test_a_finished_study_stays_finished(database: Database, study: Study, verb: str) -> None:
    with database.session() as session:
        studies.set_state(session, study.id, StudyState.COMPLETED)
    with pytest.raises(Conflict, match="is COMPLETED"), database.session() as session:
        getattr(service, f"{verb}_study")(session, "ada", study.id)


def test_a_study_that_runs_is_not_deleted(database: Database, study: Study) -> None:
    with database.session() as session:
        trials.add_many(session, study.id, [finished_trial(0, 1.0)])
        lease = leases.claim(session, StudyRow, study.id, "host:1:0:machine", TTL)
    with pytest.raises(Conflict, match="cancel it first"), database.session() as session:
        service.delete_study(session, "ada", study.id)
    with database.session() as session:
        service.pause_study(session, "ada", study.id)
    with pytest.raises(Conflict, match="its driver is just ending; try again"), database.session() as session:
        service.delete_study(session, "ada", study.id)
    with database.session() as session:
        leases.release(session, lease)
        service.delete_study(session, "ada", study.id)
    with database.read_session() as session:
        assert service.list_studies(session, "ada") == []
        assert trials.page(session, study.id, None, None) == []


def test_deleting_a_study_names_its_exports(database: Database, study: Study) -> None:
    with database.session() as session:
        asked = [operations.add(session, study.id, "export", {}, NOW) for _ in range(2)]
        exports = [operations.add_export(session, operation, "hf", NOW).id for operation in asked]
        assert sorted(service.delete_study(session, "ada", study.id).exports) == exports


def test_an_id_is_never_used_again(
    database: Database, study: Study, document: dict[str, Any], roots: list[Path]
) -> None:
    with database.session() as session:
        service.delete_study(session, "ada", study.id)
        assert service.create_study(session, "ada", document, roots).id > study.id


TABLE = b"depth,learning_rate,batch_tokens,validation_loss,steps\n" + b"".join(
    f"4,{rate},{batch},{2 + (i - j) ** 2 / 10},100\n".encode()
    for i, rate in enumerate((1e-3, 2e-3, 4e-3, 8e-3))
    for j, batch in enumerate((1024, 4096, 16384))
)


def read(table: bytes) -> service.ReadTable:
    return service.read_import("table", "validation_loss", "estimate", table)


def test_an_imported_table_is_a_completed_study_with_formulas(database: Database) -> None:
    with database.session() as session:
        study = service.add_import(session, "ada", read(TABLE + b"4,1,8,nan,1\n"))
    assert study.state is StudyState.COMPLETED
    assert study.finished_at is not None
    assert study.spec["objectives"] == [{"metric": "validation_loss", "direction": "minimize"}]
    assert study.spec["rows"] == 13
    assert study.spec["columns"]["attributes"] == ["steps"]
    with database.read_session() as session:
        stored = service.list_trials(session, "ada", study.id)
        best = service.best_trial(session, "ada", study.id)
        fitted = service.list_formulas(session, "ada", study.id)
    assert [trial.number for trial in stored] == list(range(13))
    assert stored[0].parameters == {"depth": 4, "learning_rate": 1e-3, "batch_tokens": 1024}
    assert stored[0].attributes == {"steps": 100}
    assert stored[-1].state is TrialState.FAIL
    assert best is not None
    assert best.metrics == {"validation_loss": 2.0}
    assert "learning_rate_batch" in {formula.kind for formula in fitted}
    assert {formula.revision for formula in fitted} == {1}
    assert {formula.studies for formula in fitted} == {(str(study.id),)}


def test_an_imported_study_has_no_recipe(database: Database) -> None:
    with database.session() as session:
        study = service.add_import(session, "ada", read(TABLE))
        with pytest.raises(InvalidInput, match="was imported"):
            service.recipe(session, "ada", study.id, service.RecipeRequest(), service.Places(Path(), ()))


def test_a_second_fit_is_a_new_revision(database: Database) -> None:
    with database.session() as session:
        study = service.add_import(session, "ada", read(TABLE))
        service.fit_and_store(session, study.id)
        fitted = service.list_formulas(session, "ada", study.id)
    assert {formula.revision for formula in fitted} == {2}


@pytest.mark.parametrize(
    ("name", "objective", "table", "field"),
    [
        ("", "validation_loss", TABLE, "name"),
        ("table", "loss", TABLE, "objective"),
        ("table", "validation_loss", b"", "table"),
        ("table", "validation_loss", b"depth,validation_loss\ntwo,1\n", "depth"),
    ],
)
def test_an_unusable_table_is_refused_before_anything_is_stored(
    name: str, objective: str, table: bytes, field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        service.read_import(name, objective, "estimate", table)
    assert refusal.value.field == field


def test_exports_are_asked_for_and_seen_by_their_owner_only(database: Database, study: Study) -> None:
    request = service.ExportRequest(format="formulary", total_parameters=500_000, tokens=1_000_000)
    with database.session() as session:
        operation, export = service.request_export(session, "ada", study.id, request, service.Places(Path(), ()))
    with database.read_session() as session:
        assert service.get_operation(session, "ada", operation.id) == operation
        assert service.list_exports(session, "ada", study.id) == [export]
        assert service.get_export(session, "ada", study.id, export.id) == export
        assert (export.state, export.format, export.folder) == (OperationState.PENDING, "formulary", None)
        for look in (
            lambda: service.get_operation(session, "grace", operation.id),
            lambda: service.get_export(session, "ada", study.id, export.id + 1),
            lambda: service.get_operation(session, "ada", operation.id + 1),
        ):
            with pytest.raises(NotFound):
                look()


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (service.ExportRequest(format="hf"), "trial"),
        (service.ExportRequest(format="hf", tokens=1000), "total_parameters"),
        (service.ExportRequest(format="hf", total_parameters=1000), "tokens"),
        (service.ExportRequest(format="hf", trial=0, total_parameters=1000, tokens=1000), "trial"),
    ],
)
def test_an_export_that_cannot_be_made_is_refused_at_once(
    database: Database, study: Study, request_: service.ExportRequest, field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal, database.session() as session:
        service.request_export(session, "ada", study.id, request_, service.Places(Path(), ()))
    assert refusal.value.field == field
    with database.read_session() as session:
        assert service.list_exports(session, "ada", study.id) == []


def test_a_format_without_the_studys_block_is_refused_at_once(
    database: Database, document: dict[str, Any], roots: list[Path]
) -> None:
    pangu_pi = {**document, "proxy": {**document["proxy"], "block": "pangu_pi"}}
    target = {"total_parameters": 500_000, "tokens": 1_000_000}
    with database.session() as session:
        study = service.create_study(session, "ada", pangu_pi, roots)
        with pytest.raises(
            InvalidInput, match=r"^format: hf has no class for the pangu_pi blocks .* use the format form"
        ):
            service.request_export(
                session, "ada", study.id, service.ExportRequest(format="hf", **target), service.Places(Path(), ())
            )
        service.request_export(
            session, "ada", study.id, service.ExportRequest(format="formulary", **target), service.Places(Path(), ())
        )
