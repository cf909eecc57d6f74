"""The networks that a study inherits from or learns from: found among trials and folders, checked, made folders."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from search.proxy import architecture_config
from studies.best_trials import winner
from studies.records import ACTIVE_STUDY_STATES, Study, Trial, TrialState
from studies.repository import studies, trials
from studies.spec import ModelFolder, ModelOfTrial, StudySpec, TrainedModel, build_space
from studies.specs.model_checks import KEPT, PARENT, TEACHER, check_parent, check_teacher
from trainer.config import TrialSettings
from trainer.run_folder import run_train_flops
from trainer.text.corpus import find_below
from trainer.weights_folder import WEIGHTS_KEY, has_weights, is_weights_key, weights_folder

OF_A_FOLDER = "name a trial that kept its weights (kind: trial)"
"""What can be done where a folder may not be read."""


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A trial's network, whose weights are in storage."""

    study: int
    trial: int
    key: str
    """Of its folder (``trainer.weights_folder``)."""
    architecture: ArchitectureConfig
    """As its folder has it: muP's multipliers are folded into the weights."""
    train_flops: float | None
    """Of training it, with forgotten cooldowns and with those of what it started and learnt from; None where nobody
    knows those."""

    def folder(self, storage: Path, field: str) -> Path:
        """Where its weights are.

        Raises:
            InvalidInput: they are gone.
        """
        folder = weights_folder(storage, self.key)
        if not has_weights(folder):
            reason = f"the weights of trial {self.trial} of study {self.study} are no longer in {folder}"
            raise InvalidInput(field, reason, "train that study again, or name another model")
        return folder


def prepare_folders(spec: StudySpec, roots: Sequence[Path]) -> StudySpec:
    """Check the folders that ``spec`` names, and make their paths absolute; of the files only JSON is opened.

    Raises:
        InvalidInput: a folder is not below one of ``roots``, or a link in it leads out; it holds no plain decoder, its
            weights are missing or pickled, it has no tokenizer, or a network of the space cannot start or learn from
            it.
    """
    if spec.inherit is not None and isinstance(spec.inherit.parent, ModelFolder):
        folder, architecture = _prepared(spec.inherit.parent, roots, PARENT)
        check_parent(spec, build_space(spec), architecture)
        spec = spec.model_copy(update={"inherit": spec.inherit.model_copy(update={"parent": folder})})
    if spec.teacher is not None and isinstance(spec.teacher.model, ModelFolder):
        folder, architecture = _prepared(spec.teacher.model, roots, TEACHER)
        check_teacher(spec, architecture)
        spec = spec.model_copy(update={"teacher": spec.teacher.model_copy(update={"model": folder})})
    return spec


def _prepared(model: ModelFolder, roots: Sequence[Path], field: str) -> tuple[ModelFolder, ArchitectureConfig]:
    from model.inheritance.folder import parent_folder  # loads what reads tokenizers

    real = find_below(roots, model.path, f"{field}.path", OF_A_FOLDER)
    found = parent_folder(real, field)
    if found.tokenizer is None:
        reason = f"{found.path} holds no tokenizer, without which its tokens cannot be told from others"
        raise InvalidInput(f"{field}.tokenizer", reason, "put the tokenizer.json that it was trained with there")
    return model.model_copy(update={"path": str(real)}), found.architecture


def pin_trials(session: Session, owner: str, spec: StudySpec) -> StudySpec:
    """Check the trials that ``spec`` names, and write the number of each best one, which a later trial cannot change.

    Raises:
        InvalidInput: as for ``find_kept``, or a network of the space cannot start or learn from the trial's.
    """
    if spec.inherit is not None and isinstance(spec.inherit.parent, ModelOfTrial):
        kept = find_kept(session, owner, spec.inherit.parent, PARENT)
        check_parent(spec, build_space(spec), kept.architecture)
        parent = spec.inherit.parent.model_copy(update={"trial": kept.trial})
        spec = spec.model_copy(update={"inherit": spec.inherit.model_copy(update={"parent": parent})})
    if spec.teacher is not None and isinstance(spec.teacher.model, ModelOfTrial):
        kept = find_kept(session, owner, spec.teacher.model, TEACHER)
        check_teacher(spec, kept.architecture)
        model = spec.teacher.model.model_copy(update={"trial": kept.trial})
        spec = spec.model_copy(update={"teacher": spec.teacher.model_copy(update={"model": model})})
    return spec


def look_at_models(
    session: Session | None, owner: str, spec: StudySpec
) -> tuple[ArchitectureConfig | None, ArchitectureConfig | None]:
    """The networks of the parent and of the teacher; None where there is none, or it is gone, or is a trial and no
    ``session`` is given.
    """
    parent = None if spec.inherit is None else spec.inherit.parent
    teacher = None if spec.teacher is None else spec.teacher.model
    return _look_at(session, owner, parent, PARENT), _look_at(session, owner, teacher, TEACHER)


def _look_at(session: Session | None, owner: str, model: TrainedModel | None, field: str) -> ArchitectureConfig | None:
    from model.inheritance.folder import parent_folder  # loads what reads tokenizers

    try:
        if isinstance(model, ModelFolder):
            return parent_folder(Path(model.path), field).architecture
        if model is None or session is None:
            return None
        return find_kept(session, owner, model, field).architecture
    except InvalidInput:
        return None


def users_of(session: Session, owner: str, study_id: int) -> Iterator[Study]:
    """The owner's studies that have not ended and inherit or learn from trials of a study."""
    for study in studies.active(session, owner):
        named = ((study.spec.get("inherit") or {}).get("parent"), (study.spec.get("teacher") or {}).get("model"))
        if any(model is not None and model.get("study") == study_id for model in named):
            yield study


def find_kept(session: Session, owner: str, model: ModelOfTrial, field: str) -> KeptModel:
    """Find a trial's network by what its row says; its files are not looked at.

    Raises:
        InvalidInput: the owner has no such study, it keeps no weights, its best trial is not known yet, or the trial is
            not complete. The study of another owner is answered like none.
    """
    study = studies.get(session, model.study)
    if study is None or study.owner != owner:
        remedy = "list yours with 'formulary study list'"
        raise InvalidInput(f"{field}.study", f"there is no study {model.study}", remedy)
    if not study.spec.get("proxy", {}).get("keep_weights"):
        reason = f"the trials of study {study.id} did not keep their weights"
        raise InvalidInput(f"{field}.study", reason, f"run it again with {KEPT}: true, or give a folder")
    trial = _chosen(session, study, model, field)
    key = trial.attributes.get(WEIGHTS_KEY)
    if trial.state is not TrialState.COMPLETE or not is_weights_key(key):
        reason = f"trial {trial.number} of study {study.id} is {trial.state} and has no weights"
        raise InvalidInput(f"{field}.trial", reason, "name a complete trial, or best once the study has ended")
    spec = StudySpec.model_validate(study.spec)
    trained = architecture_config(spec.trial_settings, trial.parameters, trial.attributes)
    spent = float(trial.attributes.get("spent_flops", trial.metrics["train_flops"]))
    architecture = trained.model_copy(update={"mup_base_width": None})
    return KeptModel(study.id, trial.number, str(key), architecture, _with_earlier(trial, spent))


def _with_earlier(trial: Trial, spent: float) -> float | None:
    """``spent`` with the training of parent and teacher, once where both are one network; None where one is unknown."""
    earlier: dict[object, float] = {}
    for model in ("parent", "teacher"):
        flops, network = (trial.attributes.get(f"{model}_{name}") for name in ("train_flops", "fingerprint"))
        if flops is not None:
            earlier[network or model] = float(flops)
        elif network is not None:
            return None
    return spent + sum(earlier.values())


def _chosen(session: Session, study: Study, model: ModelOfTrial, field: str) -> Trial:
    if model.trial == "best":
        if study.state in ACTIVE_STUDY_STATES:
            reason = f"study {study.id} is {study.state}, and its best trial is not known yet"
            raise InvalidInput(f"{field}.trial", reason, "wait for its end, or name a complete trial by its number")
        trial = winner(session, study)
    else:
        trial = trials.get(session, study.id, model.trial)
    if trial is None:
        missing = "no complete trial" if model.trial == "best" else f"no trial {model.trial}"
        raise InvalidInput(f"{field}.trial", f"study {study.id} has {missing}", "name another study or trial")
    return trial


def settings_with_folders(session: Session, owner: str, spec: StudySpec, storage: Path) -> TrialSettings:
    """What the trials of a stored study are told, with folders in the place of the trials that it names.

    Raises:
        InvalidInput: a trial or its weights are gone.
    """
    settings = spec.trial_settings
    if spec.inherit is not None and settings.inherit is not None:
        folder, flops = folder_of(session, owner, spec.inherit.parent, storage, PARENT)
        inherit = settings.inherit.model_copy(update={"parent": str(folder), "parent_train_flops": flops})
        settings = settings.model_copy(update={"inherit": inherit})
    if spec.teacher is not None and settings.teacher is not None:
        folder, flops = folder_of(session, owner, spec.teacher.model, storage, TEACHER)
        teacher = settings.teacher.model_copy(update={"teacher": str(folder), "teacher_train_flops": flops})
        settings = settings.model_copy(update={"teacher": teacher})
    return settings


def folder_of(
    session: Session, owner: str, model: TrainedModel, storage: Path, field: str
) -> tuple[Path, float | None]:
    """The folder of a trained network, and the FLOPs of its training where they are known.

    Raises:
        InvalidInput: the trial or its weights are gone.
    """
    if isinstance(model, ModelFolder):
        return Path(model.path), run_train_flops(Path(model.path))
    kept = find_kept(session, owner, model, field)
    return kept.folder(storage, field), kept.train_flops
