"""Checkpoints: weights and optimizer as safetensors, progress as JSON, in a folder that appears whole or not at all.

Weights carry their LLaMA names, as in exports: a checkpoint's ``model.safetensors`` is an export's.
"""

import re
import shutil
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from model.config import FrozenConfig
from model.errors import InvalidInput
from model.files import read_capped
from model.llama_weights import llama_weights, load_weights
from trainer.cache import appearing, write_atomically
from trainer.config import Precision
from trainer.loop import TrainingRun
from trainer.summary import Progress

KEPT = 2
"""Checkpoints that stay: the latest and the one before it."""
MOMENTS = ("exp_avg", "exp_avg_sq")
"""AdamW's running means of the gradient and of its square (arXiv 1711.05101, algorithm 2)."""
MAX_STATE_BYTES = 2**16
"""Largest JSON of a checkpoint that is read (assumed: it takes a few hundred bytes)."""
_NAME = re.compile(r"step-\d{8,}")
FILES = ("state.json", "model.safetensors", "optimizer.safetensors")
_REMEDY = "remove the checkpoints folder to start again"


class CheckpointState(FrozenConfig):
    """What a checkpoint holds beside tensors."""

    config_key: str
    """Of everything that determines the losses; a checkpoint is resumed under the same key only."""
    precision: Precision
    step: Annotated[int, Field(ge=1)]
    train_bytes: Annotated[int, Field(ge=0)]
    training_seconds: Annotated[float, Field(ge=0)]
    evaluation_seconds: Annotated[float, Field(ge=0)]

    @property
    def name(self) -> str:
        """Name of the checkpoint's folder."""
        return _name(self.step)


def _name(step: int) -> str:
    return f"step-{step:08d}"


def save_checkpoint(folder: Path, run: TrainingRun, config_key: str) -> None:
    """Write ``folder/step-N`` under another name, rename it, point ``folder/latest`` at it, and drop older ones.

    Raises:
        WriteFailed: the disk is full; the checkpoints before stay as they are.
    """
    target = folder / _name(run.progress.step)
    partial = folder / f".{target.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    with appearing(target, partial):
        partial.mkdir(parents=True)
        _write(partial, run, config_key)
    write_atomically(folder / "latest", target.name.encode())
    for old in sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))[:-KEPT]:
        shutil.rmtree(old)


def _write(folder: Path, run: TrainingRun, config_key: str) -> None:
    save_file(llama_weights(run.single.network), folder / "model.safetensors")
    save_file(_moments(run.single.network, run.single.optimizer), folder / "optimizer.safetensors")
    progress = run.progress
    state = CheckpointState(
        config_key=config_key,
        precision=run.precision,
        step=progress.step,
        train_bytes=progress.train_bytes,
        training_seconds=progress.training_seconds,
        evaluation_seconds=progress.evaluation_seconds,
    )
    (folder / "state.json").write_text(state.model_dump_json())


def latest_checkpoint(folder: Path) -> tuple[Path, CheckpointState] | None:
    """Return the folder and state of the checkpoint that ``folder/latest`` names; None where there is none yet.

    Raises:
        InvalidInput: what ``latest`` names is not a checkpoint.
    """
    pointer = folder / "latest"
    if not pointer.exists():
        return None
    name = read_capped(pointer, MAX_STATE_BYTES, "checkpoints", _REMEDY).decode(errors="replace")
    if not _NAME.fullmatch(name):
        raise InvalidInput("checkpoints", f"{pointer} names {name[:40]!r}, which is no checkpoint", _REMEDY)
    _check_files(folder / name)
    content = read_capped(folder / name / "state.json", MAX_STATE_BYTES, "checkpoints", _REMEDY)
    try:
        state = CheckpointState.model_validate_json(content)
    except ValidationError as error:
        reason = f"state.json of {folder / name} has {error.error_count()} unusable fields"
        raise InvalidInput("checkpoints", reason, _REMEDY) from error
    if state.name != name:
        raise InvalidInput("checkpoints", f"{folder / name} holds step {state.step}", _REMEDY)
    return folder / name, state


def _check_files(checkpoint: Path) -> None:
    """Refuse links out of the checkpoint, and pipes, on which safetensors would wait forever."""
    real = checkpoint.parent.resolve() / checkpoint.name
    for path in (checkpoint / name for name in FILES):
        if path.resolve().parent != real or not path.is_file():
            raise InvalidInput("checkpoints", f"{path} is no file of the checkpoint", _REMEDY)


def restore(run: TrainingRun, folder: Path, state: CheckpointState) -> None:
    """Put a checkpoint's weights, optimizer state and progress in the place of the run's own.

    Raises:
        InvalidInput: the files do not hold the tensors of this network.
    """
    load_weights(run.single.network, folder / "model.safetensors")
    program = run.single
    expected = {f"{name}.{moment}": p.shape for name, p in program.network.named_parameters() for moment in MOMENTS}
    moments = _load(folder / "optimizer.safetensors", expected)
    for name, parameter in program.network.named_parameters():
        program.optimizer.state[parameter] = {
            "step": torch.tensor(float(state.step), device=parameter.device),
            **{moment: moments[f"{name}.{moment}"].to(parameter.device, copy=True) for moment in MOMENTS},
        }
    run.progress = Progress(state.step, state.train_bytes, state.training_seconds, state.evaluation_seconds)


def _load(path: Path, expected: dict[str, torch.Size]) -> dict[str, Tensor]:
    """Read tensors after comparing the names and shapes in the file's header."""
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: torch.Size(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            different = sorted(name for name in found.keys() | expected if found.get(name) != expected.get(name))
            if different:
                reason = f"{path} does not fit the architecture at {different[0]} ({len(different)} tensors differ)"
                raise InvalidInput("checkpoints", reason, _REMEDY)
            return {name: file.get_tensor(name) for name in expected}
    except (OSError, SafetensorError) as error:
        raise InvalidInput("checkpoints", f"{path} cannot be read ({error})", _REMEDY) from error


def _moments(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{name}.{moment}": optimizer.state[parameter][moment]
        for name, parameter in network.named_parameters()
        for moment in MOMENTS
    }
