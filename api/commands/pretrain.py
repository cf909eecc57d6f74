"""``formulary pretrain``: trains what export wrote."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from api.commands.consoles import messages, results
from api.commands.options import CorpusRootOption, examples, placed
from api.settings import Settings
from trainer.results import StepResult

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
    from trainer.checkpoint import latest_checkpoint  # loads torch, as the next one does
    from trainer.pretrain import pretrain as train

    roots = settings.for_operator(folder, corpus_root or ()).corpus_roots
    try:
        first, last = _watch(train(folder, settings.storage, roots, max_steps), max_steps, messages())
    except KeyboardInterrupt:
        messages().print(
            f"stopped; go on from the last checkpoint, if there is one: formulary pretrain {folder}", soft_wrap=True
        )
        raise typer.Exit(130) from None
    console = results()
    count = last.step - first.step + 1
    console.print(f"loss {first.train_loss:.2f} -> {last.train_loss:.2f} over {count} steps ({_speed(last)})")
    if last.evaluation is not None:
        console.print(f"bits per byte {last.evaluation.bits_per_byte:.3f} on the validation text")
    found = latest_checkpoint(folder / "checkpoints")
    if found is not None:
        console.print(f"checkpoint: {found[0]}", soft_wrap=True)


def _watch(steps: Iterator[StepResult], max_steps: int | None, console: Console) -> tuple[StepResult, StepResult]:
    """Follow the run to its end; its first and last result."""
    with console.status("preparing the data …"):
        first = last = next(steps)
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
