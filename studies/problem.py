"""The search of a stored study, with what its earlier studies found."""

from pathlib import Path

from sqlalchemy.orm import Session

from search.problem import SearchProblem
from search.start import EarlierTrial
from studies.earlier import earlier_studies
from studies.records import Study
from studies.spec import StudySpec, build_space, search_problem
from studies.starting_laws import starting_law
from studies.trained_models import settings_with_folders
from trainer.text.cached_corpus import CachedCorpus


def stored_problem(session: Session, study: Study, storage: Path | None) -> SearchProblem:
    """What the search of a stored study is given.

    Args:
        session: the transaction; it only reads.
        study: the study.
        storage: root of shards, tokenizers and exports; None where others train, whose text is not looked at.

    Raises:
        InvalidInput: the trial whose weights it inherits or learns from is gone.
    """
    spec = StudySpec.model_validate(study.spec)
    trials: tuple[EarlierTrial, ...] = ()
    if spec.start.studies:
        fingerprint = None
        if storage is not None:
            fingerprint = CachedCorpus(
                spec.proxy.corpus, spec.proxy.validation_bytes, storage, "proxy.corpus"
            ).fingerprint
        found = earlier_studies(session, study.owner, spec, build_space(spec), fingerprint)
        trials = tuple(trial for earlier in found for trial in earlier.trials)
    law = starting_law(session, study.owner, spec)
    settings = None if storage is None else settings_with_folders(session, study.owner, spec, storage)
    return search_problem(spec, f"study-{study.id}", storage or Path(), trials, law, settings)
