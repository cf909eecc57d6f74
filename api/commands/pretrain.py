"""``formulary pretrain``: trains what export wrote."""

import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from api.commands.options import CorpusRootOption, examples, placed
from api.settings import Settings
from api.terminal.consoles import messages, results
from model.errors import InvalidInput
from trainer.results import StepResult

CORPUS_PATH = "pretrain.corpus.path"
"""Field of an export that holds where its corpus lies."""
LINE_EVERY_S = 10.0
"""Pause between two plain lines (assumed)."""

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="A folder written by formulary export.")]
StepsOption = Annotated[int | None, typer.Option("--max-steps", help="Stop after this many steps.", min=1)]

EXAMPLES = examples(
    "formulary pretrain model",
    "formulary pretrain model --max-steps 20",
    "formulary pretrain model --corpus-root ~/texts",
)


@placed
def pretrain(
    settings: Settings,
    folder: FolderArgument,
    max_steps: StepsOption = None,
    corpus_root: CorpusRootOption = None,
) -> None:
    """Train an exported config; it goes on from its last checkpoint when it is started again."""
    from trainer.checkpoints.state import latest_checkpoint  # loads torch, as the next one does
    from trainer.pretrain import pretrain as train

    roots = settings.for_operator(folder, corpus_root or ()).corpus_roots
    try:
        watched = _watch(train(folder, settings.storage, roots, max_steps), max_steps, messages())
    except KeyboardInterrupt:
        again = f"formulary pretrain {shlex.quote(str(folder))}"
        messages().print(f"stopped; go on from the last checkpoint, if there is one: {again}", soft_wrap=True)
        raise typer.Exit(130) from None
    except InvalidInput as error:
        if error.field != CORPUS_PATH:
            raise
        remedy = f"name the folder that holds it with --corpus-root, or change the path in {folder / 'formulary.json'}"
        raise InvalidInput(error.field, error.reason, remedy) from error
    console = results()
    if watched is not None:
        _report(console, *watched)
    found = latest_checkpoint(folder / "checkpoints")
    if found is not None:
        if watched is None:
            again = f"remove {folder / 'checkpoints'} to start again"
            messages().print(f"the run is already at step {found[1].step}; {again}", soft_wrap=True)
        console.print(f"checkpoint: {found[0]}", soft_wrap=True)


def _report(console: Console, first: StepResult, last: StepResult) -> None:
    count = last.step - first.step + 1
    console.print(f"loss {first.train_loss:.2f} -> {last.train_loss:.2f} over {count} steps ({_speed(last)})")
    if last.evaluation is not None:
        console.print(f"bits per byte {last.evaluation.bits_per_byte:.3f} on the validation text")


def _watch(
    steps: Iterator[StepResult], max_steps: int | None, console: Console
) -> tuple[StepResult, StepResult] | None:
    """Follow the run to its end; its first and last result, or None when it was already there."""
    with console.status("preparing the data …"):
        first = next(steps, None)
    if first is None:
        return None
    last = first
    if first.step > 1:
        console.print(f"going on from step {first.step - 1}")
    with _bar(console) as progress:
        total = min(first.steps, max_steps or first.steps)
        task = progress.add_task(_line(first), total=total, completed=first.step)
        spoken = time.monotonic()
        for last in steps:
            progress.update(task, completed=last.step, description=_line(last))
            if not console.is_terminal and time.monotonic() - spoken > LINE_EVERY_S:
                spoken = time.monotonic()
                console.print(f"step {last.step} of {total}: {_line(last)}")
    return first, last


def _bar(console: Console) -> Progress:
    columns = (
        TextColumn("step"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _line(result: StepResult) -> str:
    return f"loss {result.train_loss:.3f}, {_speed(result)}"


def _speed(result: StepResult) -> str:
    return f"{result.tokens / max(result.seconds, 1e-9):,.0f} tokens/s"
