"""Tensors in files, each file holding the rows of one process; read again by any number of processes.

One process writes ``model.safetensors``, several write ``model-00001-of-00004.safetensors`` and so on. A tensor's rows
follow one another in the order of the files, each of which has every tensor, if only with no rows. What is read comes
from files that nobody has checked: only safetensors are opened, and all shapes compared before a tensor is loaded.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.errors import InvalidInput

KINDS = ("model", "optimizer")
REMEDY = "remove the checkpoints folder to start again"
DTYPE = "F32"
"""Weights and moments are kept as they are trained."""


def file_names(kind: str, shards: int) -> list[str]:
    """Names of the files that hold all rows of weights (``model``) or moments (``optimizer``)."""
    if shards == 1:
        return [f"{kind}.safetensors"]
    return [f"{kind}-{number:05d}-of-{shards:05d}.safetensors" for number in range(1, shards + 1)]


def write_rows(path: Path, tensors: Mapping[str, Tensor], step: int) -> None:
    """Write one process's rows of step ``step``, and wait until the disk has them.

    Raises:
        OSError, SafetensorError: they cannot be written.
    """
    save_file(dict(tensors), path, metadata={"step": str(step)})
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def read_rows(
    paths: Sequence[Path], step: int, expected: Mapping[str, torch.Size], rows: Callable[[int], slice]
) -> dict[str, Tensor]:
    """Read the rows ``rows(all rows)`` of every tensor from the files of all shards.

    Args:
        paths: the files, in the order of their rows.
        step: that of the checkpoint they must belong to.
        expected: shapes of the whole tensors.
        rows: which rows to read of a tensor with so many.

    Raises:
        InvalidInput: a file cannot be read, is another step's, or the tensors are not those expected.
    """
    with ExitStack() as stack:
        files = [(path, stack.enter_context(opened(path, step))) for path in paths]
        shapes = [_shapes(path, file) for path, file in files]
        _check_shapes(paths, shapes, expected)
        try:
            return {
                name: _read(name, [file for _, file in files], shapes, rows(expected[name][0])) for name in expected
            }
        except (OSError, SafetensorError) as error:
            raise InvalidInput("checkpoints", f"{paths[0].parent} cannot be read ({error})", REMEDY) from error


def opened(path: Path, step: int) -> Any:
    """A safetensors file of step ``step``, to be used in a ``with`` statement.

    Raises:
        InvalidInput: it is none, or another step's.
    """
    try:
        file = safe_open(path, framework="pt")
        metadata: dict[str, str] | None = file.metadata()  # type: ignore[no-untyped-call]
    except (OSError, SafetensorError) as error:
        raise InvalidInput("checkpoints", f"{path} cannot be read ({error})", REMEDY) from error
    found = (metadata or {}).get("step")
    if found is not None and found != str(step):  # files of older versions do not say
        raise InvalidInput("checkpoints", f"{path} is of step {found:.20}, not {step}", REMEDY)
    return file


def _shapes(path: Path, file: Any) -> dict[str, torch.Size]:
    """Shapes by name, from the header."""
    shapes = {}
    for name in file.keys():  # noqa: SIM118 (the file is not a mapping)
        header = file.get_slice(name)
        if header.get_dtype() != DTYPE:
            reason = f"{name:.80} in {path} has dtype {header.get_dtype()}, not {DTYPE}"
            raise InvalidInput("checkpoints", reason, REMEDY)
        shapes[name] = torch.Size(header.get_shape())
    return shapes


def _check_shapes(
    paths: Sequence[Path], shapes: Sequence[Mapping[str, torch.Size]], expected: Mapping[str, torch.Size]
) -> None:
    for path, found in zip(paths, shapes, strict=True):
        different = sorted(
            name for name in found.keys() | expected if _row_shape(found.get(name)) != _row_shape(expected.get(name))
        )
        if different:
            reason = f"{path} does not fit the architecture at {different[0]:.80} ({len(different)} tensors differ)"
            raise InvalidInput("checkpoints", reason, REMEDY)
    for name, shape in expected.items():
        count = sum(found[name][0] for found in shapes)
        if count != shape[0]:
            reason = f"{name} has {count} rows in {paths[0].parent}, the architecture has {shape[0]}"
            raise InvalidInput("checkpoints", reason, REMEDY)


def _row_shape(shape: torch.Size | None) -> torch.Size | None:
    """Shape of one row; None for a tensor that is missing or has no rows to be cut into."""
    return shape[1:] if shape else None


def _read(name: str, files: Sequence[Any], shapes: Sequence[Mapping[str, torch.Size]], wanted: slice) -> Tensor:
    """The wanted rows, from those files that hold some of them."""
    parts, start = [], 0
    for file, found in zip(files, shapes, strict=True):
        end = start + found[name][0]
        low, high = max(wanted.start, start), min(wanted.stop, end)
        if low < high:
            parts.append(file.get_slice(name)[low - start : high - start])
        start = end
    return torch.cat(parts) if parts else torch.empty((0, *shapes[0][name][1:]))
