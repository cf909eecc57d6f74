"""The options that describe a model for which a recipe is wanted."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

SUFFIXES = {"k": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
WRITTEN = re.compile(r"([0-9]+(?:\.[0-9]+)?(?:[eE]\+?[0-9]{1,2})?)([kMBT]?)")
LARGEST_COUNT = 10**18


def read_count(value: str | int) -> int:
    """A whole number, as ``3000000``, ``3e6`` or ``3M``; k, M, B and T are powers of a thousand.

    Raises:
        typer.BadParameter: it is none, or out of range.
    """
    written = WRITTEN.fullmatch(str(value))
    number = float(written[1]) * SUFFIXES.get(written[2], 1) if written else 0.0
    if not 1 <= number <= LARGEST_COUNT or not number.is_integer():
        raise typer.BadParameter(f"{str(value)[:50]!r} is no whole number above 0, as 3000000, 3e6 or 3M")
    return int(number)


SizeOption = Annotated[
    int | None,
    typer.Option("--total-parameters", parser=read_count, metavar="N", help="Size of the model wanted, e.g. 10M."),
]
TokensOption = Annotated[
    int | None, typer.Option("--tokens", parser=read_count, metavar="N", help="Its training tokens, e.g. 1.6T.")
]
GpusOption = Annotated[int | None, typer.Option("--gpus", parser=read_count, metavar="N", help="GPUs that train it.")]
GpuOption = Annotated[str | None, typer.Option("--gpu", metavar="KIND", help="Their kind, e.g. h100 or a100.")]
MemoryOption = Annotated[
    float | None, typer.Option("--gpu-memory-gib", help="Memory of one GPU, where its kind is not known.")
]
FlopsOption = Annotated[
    float | None, typer.Option("--gpu-peak-flops", help="Dense FLOPs a second of one GPU in bfloat16, e.g. 9.9e14.")
]
SpeedOption = Annotated[
    float | None, typer.Option("--decode-tokens-per-second", help="Slowest decoding of one sequence to accept.")
]
BatchOption = Annotated[
    int | None,
    typer.Option("--max-batch-tokens", parser=read_count, metavar="N", help="Largest batch to accept, in tokens."),
]
ParentOption = Annotated[
    Path | None,
    typer.Option("--parent", metavar="DIR", help="A larger trained network whose weights it inherits."),
]
TeacherOption = Annotated[
    Path | None, typer.Option("--teacher", metavar="DIR", help="A trained network from whose predictions it learns.")
]


def asked_target(**values: Any) -> dict[str, Any]:
    """What was given of a target, by the names of the API; folders as the server sees them."""
    given = {name: value for name, value in values.items() if value is not None}
    return {name: str(value.absolute()) if isinstance(value, Path) else value for name, value in given.items()}


def named_folders(*folders: Path | None) -> list[Path]:
    """The folders among what was given: a command may read what its user names."""
    return [folder for folder in folders if folder is not None]
