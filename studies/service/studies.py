"""Studies: created from a spec, found, controlled, deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from model.errors import InvalidInput
from studies.digest import document_digest
from studies.earlier import check_start_studies, earlier_studies
from studies.errors import Conflict, NotFound
from studies.records import ACTIVE_STUDY_STATES, Study, StudyState
from studies.repository import leases, operations, owners, studies, weights
from studies.repository.queue import RUNNABLE_STATES
from studies.service.ending import end_external_study
from studies.spec import ImportSpec, StudySpec, build_space, stored_spec, vocabulary_sizes
from studies.specs.parsing import parse_spec
from studies.specs.warnings import spec_warnings
from studies.starting_laws import check_starting_law
from studies.tables import StudyRow
from studies.trained_models import pin_trials, prepare_folders, users_of
from trainer.config import TRAINED, TokenizerSource
from trainer.text.corpus import check_corpus, resolve_corpus

TRANSITIONS: Mapping[str, Mapping[StudyState, StudyState]] = {
    "pause": {StudyState.QUEUED: StudyState.PAUSED, StudyState.RUNNING: StudyState.PAUSED},
    "resume": {StudyState.PAUSED: StudyState.QUEUED},
    "stop": dict.fromkeys((StudyState.QUEUED, StudyState.RUNNING, StudyState.PAUSED), StudyState.STOPPING),
    "cancel": dict.fromkeys(ACTIVE_STUDY_STATES, StudyState.CANCELLED),
}
"""What may be asked of a study, by its state. A driver sees the change and acts on it."""


def prepare_spec(document: object, roots: Sequence[Path]) -> StudySpec:
    """Check a spec whole: its fields, its space, and that corpus, tokenizer, parent and teacher can be read; paths
    become absolute.

    Raises:
        InvalidInput: a field is unusable.
    """
    spec = resolve_spec(parse_spec(document), roots)
    check_corpus(spec.proxy.corpus, spec.proxy.validation_bytes)
    return spec


def resolve_spec(spec: StudySpec, roots: Sequence[Path]) -> StudySpec:
    """Check what a spec's parser does not: its texts, and what its paths name; they become absolute.

    The corpus is found, and not read.

    Raises:
        InvalidInput: a field is unusable.
    """
    check_name(spec.name)
    check_texts({"description": spec.description, **{f"tags.{place}": tag for place, tag in enumerate(spec.tags)}})
    corpus = resolve_corpus(spec.proxy.corpus, roots)
    tokenizer = _prepare_tokenizer(spec, roots)
    spec = prepare_folders(spec, roots)
    return spec.model_copy(update={"proxy": spec.proxy.model_copy(update={"corpus": corpus, "tokenizer": tokenizer})})


def _prepare_tokenizer(spec: StudySpec, roots: Sequence[Path]) -> TokenizerSource:
    """Imports what reads tokenizers when there is one to read: the API starts without it."""
    if spec.proxy.tokenizer == TRAINED:
        return TRAINED
    from trainer.text.tokenizers import check_tokenizer, resolve_tokenizer

    tokenizer = resolve_tokenizer(spec.proxy.tokenizer, roots)
    field, sizes = vocabulary_sizes(spec)
    check_tokenizer(tokenizer, sizes, field)
    return tokenizer


def create_study(session: Session, owner: str, document: object, roots: Sequence[Path]) -> Study:
    """Store a queued study.

    Args:
        session: the transaction.
        owner: whose study it is.
        document: the spec as the user wrote it.
        roots: folders below which a corpus may lie.

    Raises:
        InvalidInput: a field of the spec is unusable.
    """
    return add_prepared_study(session, owner, prepare_spec(document, roots))


def add_prepared_study(session: Session, owner: str, spec: StudySpec) -> Study:
    """Store a queued study of a spec that ``prepare_spec`` gave.

    Raises:
        InvalidInput: a study that it starts from is not the owner's, has another objective, or lacks the law asked for;
            a trial that it inherits or learns from is not there, or no network of the space can start from it.
    """
    check_start_studies(session, owner, spec)
    check_starting_law(session, owner, spec)
    spec = pin_trials(session, owner, spec)
    return add_study(session, owner, spec.name, StudyState.QUEUED, spec.model_dump(mode="json"))


def warnings_of(session: Session, study: Study) -> list[str]:
    """Say what is legal in a study's spec and may not be meant, and what the studies give that it starts from."""
    spec = StudySpec.model_validate(study.spec)
    given = earlier_studies(session, study.owner, spec, build_space(spec), None) if spec.start.studies else []
    return [*spec_warnings(spec), *(earlier.report for earlier in given)]


def clone_study(session: Session, owner: str, study_id: int, roots: Sequence[Path]) -> Study:
    """Store a queued study of the same spec, checked anew: the corpus may have gone since.

    Raises:
        NotFound: the owner has no such study.
        InvalidInput: the study was imported, or a field of its spec is no longer usable.
    """
    spec = stored_spec(get_study(session, owner, study_id).spec)
    if isinstance(spec, ImportSpec):
        raise InvalidInput("study", f"study {study_id} was imported", "clone one that was run here")
    return create_study(session, owner, spec.model_dump(mode="json"), roots)


def add_study(session: Session, owner: str, name: str, state: StudyState, spec: Mapping[str, Any]) -> Study:
    """Insert a study whose spec has been checked, and its owner when new."""
    now = datetime.now(UTC)
    owners.ensure(session, owner, now)
    return studies.add(session, owner, name, state, spec, document_digest(spec), now)


def find_unfinished(session: Session, owner: str, spec: StudySpec) -> Study | None:
    """Find the newest study of this very spec (see ``prepare_spec``) that can go on.

    Raises:
        InvalidInput: a trial that it inherits or learns from is not there.
    """
    digest = document_digest(pin_trials(session, owner, spec).model_dump(mode="json"))
    return studies.find_by_digest(session, owner, digest, ACTIVE_STUDY_STATES)


def list_studies(session: Session, owner: str, before_id: int | None = None, size: int | None = None) -> list[Study]:
    """List studies, newest first: ``size`` of those with ids below ``before_id``."""
    return studies.page(session, owner, before_id, size)


def get_study(session: Session, owner: str, study_id: int) -> Study:
    """Find a study.

    Raises:
        NotFound: the owner has no such study.
    """
    study = studies.get(session, study_id)
    if study is None or study.owner != owner:
        raise NotFound(f"there is no study {study_id}")
    return study


def count_studies(session: Session) -> dict[StudyState, int]:
    """Count the studies of all owners, by state; every state has its number."""
    return dict.fromkeys(StudyState, 0) | studies.count_by_state(session)


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Files of a deleted study, which can be removed once the transaction is committed."""

    exports: list[int]
    """Ids of its exports (``studies.export_folders``)."""
    weights: list[str]
    """Keys of the weights that no other trial kept as well (``studies.trained_models``)."""


def delete_study(session: Session, owner: str, study_id: int) -> Leftovers:
    """Delete a study with its trials, formulas, operations, exports and kept weights.

    Raises:
        NotFound: the owner has no such study.
        Conflict: a driver works on it, or a study that has not ended inherits or learns from it.
    """
    state = get_study(session, owner, study_id).state
    leases.lock(session, StudyRow, study_id)
    if leases.is_held(session, StudyRow, study_id):
        if state in RUNNABLE_STATES:
            raise Conflict(f"study {study_id} is running; cancel it first")
        raise Conflict(f"study {study_id} is {state}, and its driver is just ending; try again in a moment")
    waiting = next(users_of(session, owner, study_id), None)
    if waiting is not None:
        raise Conflict(f"study {waiting.id} ({waiting.state}) starts from weights of study {study_id}; cancel it first")
    exports = [export.id for export in operations.list_exports(session, study_id)]
    kept = weights.keys_of(session, study_id)
    studies.remove(session, study_id)
    return Leftovers(exports, sorted(kept - weights.still_named(session, kept)))


def pause_study(session: Session, owner: str, study_id: int) -> Study:
    """Let a study rest until it is resumed; raises like ``cancel_study``."""
    return _move(session, owner, study_id, "pause")


def resume_study(session: Session, owner: str, study_id: int) -> Study:
    """Queue a paused study again; raises like ``cancel_study``."""
    return _move(session, owner, study_id, "resume")


def stop_study(session: Session, owner: str, study_id: int) -> Study:
    """End a study with the trials that it has; its formulas are fitted. Raises like ``cancel_study``."""
    return _move(session, owner, study_id, "stop")


def cancel_study(session: Session, owner: str, study_id: int) -> Study:
    """Give a study up.

    Raises:
        NotFound: the owner has no such study.
        Conflict: its state does not allow it.
    """
    return _move(session, owner, study_id, "cancel")


def check_name(name: str, field: str = "name", longest: int = 200) -> None:
    """Check that a name, of a study or of another thing, can be stored and shown.

    Raises:
        InvalidInput: it is empty, too long, or holds control characters.
    """
    if not name.strip() or len(name) > longest or not name.isprintable():
        raise InvalidInput(field, f"{name[:50]!r} cannot be shown", f"give 1 to {longest} printable characters")


def check_texts(texts: Mapping[str, str]) -> None:
    """Refuse control characters, which steer terminals, and lone surrogates: PostgreSQL cannot store them.

    Args:
        texts: by the field that holds them.

    Raises:
        InvalidInput: one of them holds such a character.
    """
    for field, text in texts.items():
        found = next((letter for letter in text if not letter.isprintable() and letter not in "\n\t"), None)
        if found is not None:
            raise InvalidInput(field, f"it holds the control character {found!r}", "remove it")


def _move(session: Session, owner: str, study_id: int, verb: str) -> Study:
    get_study(session, owner, study_id)
    leases.lock(session, StudyRow, study_id)
    state = get_study(session, owner, study_id).state
    target = TRANSITIONS[verb].get(state)
    if target is None:
        raise Conflict(f"study {study_id} is {state}; it cannot {verb}")
    now = datetime.now(UTC)
    finished = {} if target in ACTIVE_STUDY_STATES else {"finished_at": now}
    studies.set_state(session, study_id, target, **finished)
    study = get_study(session, owner, study_id)
    if target is StudyState.STOPPING and study.spec.get("execution") == "external":
        end_external_study(session, study_id, now)
        return get_study(session, owner, study_id)
    return study
