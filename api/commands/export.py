"""``formulary export``: a config that trains, from a trial or for a target."""

import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from api.archive import save, unpack
from api.client import Client, connect
from api.commands.options import StudyArgument, WithOption, examples, home_option, placed
from api.commands.targets import (
    BatchOption,
    FlopsOption,
    GpuOption,
    GpusOption,
    MemoryOption,
    ParentOption,
    SizeOption,
    SpeedOption,
    TeacherOption,
    TokensOption,
    asked_target,
    named_folders,
)
from api.settings import Settings
from api.terminal.consoles import messages
from model.errors import InvalidInput

BEST = "best"
FORMATS = "hf (Hugging Face transformers), litgpt, torchtitan, internevo (the paper's framework) or formulary."

ELSEWHERE = ("litgpt", "torchtitan", "internevo")
METHODS = {"training": "trained some steps with", "loading": "loaded with", "schema": "compared with"}

FormatOption = Annotated[str, typer.Option("--format", help=FORMATS)]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="A new or empty folder.")]
TrialOption = Annotated[str | None, typer.Option("--trial", metavar="N|best", help="Export the config of a trial.")]

EXAMPLES = examples(
    "formulary export 3 --format hf --out best-model",
    "formulary export 3 --format hf --out trial-7 --trial 7",
    "formulary export 3 --format formulary --out larger --total-parameters 10M --tokens 200M",
)


@placed
def export(
    settings: Settings,
    study: StudyArgument,
    format: FormatOption,
    out: OutOption,
    trial: TrialOption = None,
    total_parameters: SizeOption = None,
    tokens: TokensOption = None,
    gpus: GpusOption = None,
    gpu: GpuOption = None,
    gpu_memory_gib: MemoryOption = None,
    gpu_peak_flops: FlopsOption = None,
    decode_tokens_per_second: SpeedOption = None,
    max_batch_tokens: BatchOption = None,
    parent: ParentOption = None,
    teacher: TeacherOption = None,
    others: WithOption = None,
) -> None:
    """Export a full-training config from a study; the last line is the export's id.

    The config is that of a trial (the best one unless said), or one for a size and a number of tokens, from the
    study's formulas. It is tried before it is offered. `formulary pretrain DIR` trains it, whatever its format.
    """
    wanted = asked_target(
        **{"with": others or None},
        trial=_trial(trial),
        total_parameters=total_parameters,
        tokens=tokens,
        gpus=gpus,
        gpu=gpu,
        gpu_memory_gib=gpu_memory_gib,
        gpu_peak_flops=gpu_peak_flops,
        decode_tokens_per_second=decode_tokens_per_second,
        max_batch_tokens=max_batch_tokens,
        parent=parent,
        teacher=teacher,
    )
    request = {"format": format, **wanted}
    _check_empty(out)
    with connect(settings.for_operator(Path(), named_folders(parent, teacher))) as client:
        with messages().status("writing the export …"):
            written = client.export(study, request)
        names = download(client, written, out)
    messages().print(f"wrote {', '.join(names)} to {out}", soft_wrap=True)
    _print_smoke_test(written["result"])
    messages().print(f"train it: formulary {home_option(settings)}pretrain {shlex.quote(str(out))}", soft_wrap=True)
    if format in ELSEWHERE:
        messages().print(f"or with {format}: the commands are in {out / 'README.md'}", soft_wrap=True, markup=False)
    typer.echo(written["id"])


def _print_smoke_test(result: Mapping[str, Any]) -> None:
    """What was tried with the export before it was offered, and what goes otherwise in its framework."""
    test = result["smoke_test"]
    messages().print(f"tried: {METHODS[test['method']]} {test['software']}", soft_wrap=True, markup=False)
    lines = [*test["done"], *(f"not tried: {line}" for line in test["left_out"])]
    lines += [f"otherwise there: {line}" for line in result["differences"]]
    for line in lines:
        messages().print(f"  {line}", soft_wrap=True, markup=False)


def _trial(text: str | None) -> int | str | None:
    if text is None or text == BEST:
        return text
    if not text.isdecimal():
        raise typer.BadParameter("give a trial's number or 'best'", param_hint="--trial")
    return int(text)


def _check_empty(folder: Path) -> None:
    try:
        empty = not folder.exists() or not any(folder.iterdir())
    except NotADirectoryError:
        empty = False
    if not empty:
        raise InvalidInput("--out", f"{folder} is not an empty folder", "give a new folder, or remove what is there")


def download(client: Client, export: dict[str, Any], out: Path) -> list[str]:
    """Unpack the archive of ``export`` into a new folder, which appears whole or not at all; the names of its files.

    Raises:
        InvalidInput: the folder cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
            archive, folder = Path(scratch, "archive.tar"), Path(scratch, "folder")
            with client.archive(export["study_id"], export["id"]) as chunks:
                save(chunks, archive)
            names = unpack(archive, folder)
            folder.rename(out)
    except OSError as error:
        raise InvalidInput("--out", f"{out} cannot be written ({error.strerror})", "give another folder") from error
    return names
