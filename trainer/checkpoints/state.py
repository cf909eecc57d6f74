"""Which checkpoint is the latest, what it says about itself, and going on from it.

Weights carry their LLaMA names, as in exports: the ``model.safetensors`` of a run on one process is an export's.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field, ValidationError
from torch import Tensor

from model.config import FrozenConfig
from model.errors import InvalidInput
from model.files import read_capped
from model.llama_weights import file_names as llama_names
from model.transformer import Transformer
from trainer.checkpoints.rounds import ROUNDS_FILE, read_rounds
from trainer.checkpoints.rows import KINDS, REMEDY, file_names, read_rows
from trainer.config import Precision
from trainer.loop import TrainingRun
from trainer.parallel.sharded import own_part
from trainer.summary import Progress

MOMENTS = ("exp_avg", "exp_avg_sq")
"""AdamW's running means of the gradient and of its square (arXiv 1711.05101, algorithm 2)."""
MAX_STATE_BYTES = 2**16
"""Largest JSON of a checkpoint that is read (assumed: it takes a few hundred bytes)."""
MAX_SHARDS = 2**16
"""Most processes that write one checkpoint (assumed: more than any run has had)."""
NAME = re.compile(r"step-\d{8,}")
STATE_FILE = "state.json"


class CheckpointState(FrozenConfig):
    """What a checkpoint holds beside tensors."""

    config_key: str
    """Of everything that determines the losses; a checkpoint is resumed under the same key only."""
    precision: Precision
    step: Annotated[int, Field(ge=1)]
    train_bytes: Annotated[int, Field(ge=0)]
    training_seconds: Annotated[float, Field(ge=0)]
    evaluation_seconds: Annotated[float, Field(ge=0)]
    shards: Annotated[int, Field(ge=1, le=MAX_SHARDS)] = 1
    """Processes that wrote it, each its rows; any other number can read it."""
    rounds: bool = False
    """Whether it holds the losses and choices of a run in rounds."""

    @property
    def name(self) -> str:
        """Name of the checkpoint's folder."""
        return checkpoint_name(self.step)

    def files(self) -> list[str]:
        """Names of all files of the checkpoint."""
        of_rounds = [ROUNDS_FILE] if self.rounds else []
        return [STATE_FILE, *of_rounds, *(name for kind in KINDS for name in file_names(kind, self.shards))]


def checkpoint_name(step: int) -> str:
    """Name of the folder of a checkpoint."""
    return f"step-{step:08d}"


def state_of(run: TrainingRun, config_key: str) -> CheckpointState:
    """The state of a run at its present step."""
    progress = run.progress
    return CheckpointState(
        config_key=config_key,
        precision=run.execution.precision,
        step=progress.step,
        train_bytes=progress.train_bytes,
        training_seconds=progress.training_seconds,
        evaluation_seconds=progress.evaluation_seconds,
        shards=run.world.size,
        rounds=run.rounds is not None,
    )


def latest_checkpoint(folder: Path) -> tuple[Path, CheckpointState] | None:
    """Return the folder and state of the checkpoint that ``folder/latest`` names; None where there is none yet.

    Raises:
        InvalidInput: what ``latest`` names is not a checkpoint.
    """
    pointer = folder / "latest"
    if not pointer.exists():
        return None
    name = read_capped(pointer, MAX_STATE_BYTES, "checkpoints", REMEDY).decode(errors="replace")
    if not NAME.fullmatch(name):
        raise InvalidInput("checkpoints", f"{pointer} names {name[:40]!r}, which is no checkpoint", REMEDY)
    _check_file(folder / name / STATE_FILE)
    content = read_capped(folder / name / STATE_FILE, MAX_STATE_BYTES, "checkpoints", REMEDY)
    try:
        state = CheckpointState.model_validate_json(content)
    except ValidationError as error:
        reason = f"{STATE_FILE} of {folder / name} has {error.error_count()} unusable fields"
        raise InvalidInput("checkpoints", reason, REMEDY) from error
    if state.name != name:
        raise InvalidInput("checkpoints", f"{folder / name} holds step {state.step}", REMEDY)
    for file in state.files():
        _check_file(folder / name / file)
    return folder / name, state


def has_checkpoint(run: Path) -> bool:
    """Whether a run's folder holds a checkpoint to go on from, usable or not."""
    return (run / "checkpoints" / "latest").exists()


def _check_file(path: Path) -> None:
    """Refuse links out of the checkpoint, and pipes, on which safetensors would wait forever."""
    checkpoint = path.parent
    real = checkpoint.parent.resolve() / checkpoint.name
    if path.resolve().parent != real or not path.is_file():
        raise InvalidInput("checkpoints", f"{path} is no file of the checkpoint", REMEDY)


def restore(run: TrainingRun, folder: Path, state: CheckpointState) -> None:
    """Put a checkpoint's weights, optimizer state and progress in the place of the run's own.

    Each process reads its own rows, whatever the number of processes that wrote them.

    Raises:
        InvalidInput: the files do not hold the tensors of this network.
    """
    if state.rounds != (run.rounds is not None):
        raise InvalidInput("checkpoints", f"{folder} is not of a run of these rounds", REMEDY)
    network, optimizer = run.single.network, run.single.optimizer
    weights = _rows(run, folder, state, "model", {name: [file] for name, file in llama_names(network).items()})
    moments = _rows(run, folder, state, "optimizer", moment_names(network))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            own_part(parameter).copy_(weights[name][0])
            kept = {moment: torch.zeros_like(parameter) for moment in MOMENTS}
            for moment, values in zip(MOMENTS, moments[name], strict=True):
                own_part(kept[moment]).copy_(values)
            optimizer.state[parameter] = {"step": torch.tensor(float(state.step), device=parameter.device), **kept}
    if run.rounds is not None:
        read_rounds(run.rounds, folder, state.step)
    run.progress = Progress(state.step, state.train_bytes, state.training_seconds, state.evaluation_seconds)


def moment_names(network: Transformer) -> dict[str, list[str]]:
    """Names in files of the moments of each parameter."""
    return {name: [f"{name}.{moment}" for moment in MOMENTS] for name, _ in network.named_parameters()}


def _rows(
    run: TrainingRun, folder: Path, state: CheckpointState, kind: str, names: Mapping[str, list[str]]
) -> dict[str, list[Tensor]]:
    """The rows of this process of the tensors that belong to each parameter."""
    shapes = {name: parameter.shape for name, parameter in run.single.network.named_parameters()}
    expected = {in_file: shapes[name] for name, of_parameter in names.items() for in_file in of_parameter}
    paths = [folder / file for file in file_names(kind, state.shards)]
    read = read_rows(paths, state.step, expected, run.world.rows)
    return {name: [read[in_file] for in_file in of_parameter] for name, of_parameter in names.items()}


def whole_weights(folder: Path, state: CheckpointState, network: Transformer) -> dict[str, Tensor]:
    """All rows of the weights of a checkpoint, by the names of ``network``, which may be on the meta device.

    Raises:
        InvalidInput: the files do not hold the weights of this network.
    """
    names = llama_names(network)
    expected = {names[name]: parameter.shape for name, parameter in network.named_parameters()}
    paths = [folder / file for file in file_names("model", state.shards)]
    read = read_rows(paths, state.step, expected, lambda count: slice(0, count))
    return {name: read[in_file] for name, in_file in names.items()}
