"""The full run: what an export wrote, trained by the proxy's loop, with checkpoints from which it resumes exactly."""

import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError

from model.errors import InvalidInput
from model.files import read_capped
from model.llama_weights import load_weights
from trainer.cache import content_key
from trainer.checkpoint import latest_checkpoint, restore, save_checkpoint
from trainer.config import PretrainConfig
from trainer.loop import TrainingRun
from trainer.machine.memory import named_memory_errors
from trainer.results import StepResult
from trainer.text.corpus import resolve_corpus
from trainer.text.data import PreparedData, prepare

MAX_JSON_BYTES = 4 * 2**20
"""Largest ``formulary.json`` that is read (assumed: exports write a few KiB)."""
NOT_DETERMINING = {
    "checkpoint_every_steps",
    "evaluations",
    "threads",
    "gpu_share",
    "corpus",
    "precision",
    "tokenizer_source",
}
"""Fields that may change between a stop and a resume: they change the losses by rounding at most, or are
recorded otherwise: corpus and tokenizer by their fingerprints, the precision in the checkpoint."""


def pretrain(
    folder: Path, storage: Path, roots: Sequence[Path], max_steps: int | None = None
) -> Generator[StepResult, None, None]:
    """Train what ``folder/formulary.json`` describes, from ``folder/checkpoints/latest`` where there is one.

    ``max_steps`` ends the run at that step of the unchanged schedule, counted from the run's beginning. A checkpoint
    is written there, at the end, and every ``checkpoint_every_steps``. A run that is already that far yields nothing.

    Raises:
        InvalidInput: the document or a file it names cannot be used, or another process trains in the folder.
        TrainingDiverged: the loss is not finite, or at an evaluation far above that of a uniform guess.
    """
    config = read_pretrain_config(folder)
    config = config.model_copy(update={"corpus": resolve_corpus(config.corpus, roots, "pretrain.corpus")})
    if max_steps is not None and max_steps < 1:
        raise InvalidInput("max_steps", f"{max_steps} is not positive", "give at least 1")
    tokenizer_path = _inside(folder, config.tokenizer, "pretrain.tokenizer")
    vocabulary_size = config.architecture.vocabulary_size
    data = prepare(
        config.corpus, vocabulary_size, config.validation_bytes, storage, tokenizer_path, field="pretrain.corpus"
    )
    checkpoints = _checkpoints_folder(folder)
    try:
        with FileLock(checkpoints / ".lock", timeout=0), named_memory_errors():
            yield from _train(folder, config, data, max_steps)
    except Timeout as error:
        raise InvalidInput("checkpoints", f"another process trains in {folder}", "wait for it or stop it") from error


def _train(
    folder: Path, config: PretrainConfig, data: PreparedData, max_steps: int | None
) -> Generator[StepResult, None, None]:
    checkpoints = folder / "checkpoints"
    config_key = _config_key(config, data)
    run = _start_or_resume(folder, config, data, config_key)
    last = min(run.plan.steps, max_steps or run.plan.steps)
    if run.progress.step >= last:
        return
    for result in run.results(last):
        if result.finished or result.step % config.checkpoint_every_steps == 0:
            save_checkpoint(checkpoints, run, config_key)
        yield result


def _start_or_resume(folder: Path, config: PretrainConfig, data: PreparedData, config_key: str) -> TrainingRun:
    found = latest_checkpoint(folder / "checkpoints")
    if found is None:
        run = TrainingRun(config, data)
        if config.initial_weights is not None:
            load_weights(run.single.network, _inside(folder, config.initial_weights, "pretrain.initial_weights"))
        return run
    checkpoint, state = found
    if state.config_key != config_key:
        reason = f"{checkpoint} was written under another config, corpus or tokenizer"
        raise InvalidInput("checkpoints", reason, "restore them, or remove the checkpoints folder to start again")
    run = TrainingRun(config.model_copy(update={"precision": state.precision}), data)
    restore(run, checkpoint, state)
    return run


def _config_key(config: PretrainConfig, data: PreparedData) -> str:
    determining = config.model_dump_json(exclude=NOT_DETERMINING)
    return content_key(determining, data.manifest.corpus_fingerprint, data.manifest.tokenizer_fingerprint)


def read_pretrain_config(folder: Path) -> PretrainConfig:
    """Read the key ``pretrain`` of ``folder/formulary.json``, a file that nobody has checked.

    Raises:
        InvalidInput: the file is missing, too large, not JSON of version 1, or not a pretraining config.
    """
    document = _read_json(folder / "formulary.json")
    if not isinstance(document, dict) or document.get("version") != 1:
        raise InvalidInput("formulary.json", "it is not a document of version 1", "export the recipe again")
    try:
        return PretrainConfig.model_validate(document.get("pretrain"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(["pretrain", *map(str, first["loc"])])
        reason = first["msg"].removeprefix("Value error, ")
        raise InvalidInput(field, reason, "correct it in formulary.json, or export the recipe again") from error


def _read_json(path: Path) -> Any:
    content = read_capped(path, MAX_JSON_BYTES, "formulary.json", "give the folder that `formulary export` wrote")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("formulary.json", f"it is not JSON ({error})", "export the recipe again") from error


def _checkpoints_folder(folder: Path) -> Path:
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    if checkpoints.is_symlink():
        raise InvalidInput("checkpoints", f"{checkpoints} is a link", "replace it by a folder")
    return checkpoints


def _inside(folder: Path, name: str, field: str) -> Path:
    """Return the real path of a file that the document names."""
    try:
        path = (folder / name).resolve()
        inside = path.is_relative_to(folder.resolve()) and path.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds a NUL
        inside = False
    if not inside:
        raise InvalidInput(field, f"{name!r:.200} is no file in {folder}", "put the file into the folder")
    return path
