"""``formulary pretrain``: trains what export wrote."""

import shlex
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from api.commands.options import CorpusRootOption, examples, placed
from api.settings import Settings
from api.terminal.consoles import messages, results
from api.terminal.training import TrainingDisplay
from model.errors import InvalidInput
from trainer.results import StepResult

if TYPE_CHECKING:
    from trainer.lm_eval import Tasks

PATHS = ("pretrain.corpus.path", "pretrain.inheritance.parent", "pretrain.distillation.teacher")
"""Fields of an export that hold where its corpus, its parent and its teacher lie."""

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="A folder written by formulary export.")]
StepsOption = Annotated[int | None, typer.Option("--max-steps", help="Stop after this many steps.", min=1)]
ProcessesOption = Annotated[
    int | None, typer.Option("--processes", help="Train on so many processes with CPUs, through Ray.", min=1)
]
GpusOption = Annotated[int | None, typer.Option("--gpus", help="Train on so many GPUs, through Ray.", min=1)]
AddressOption = Annotated[
    str | None, typer.Option("--ray-address", help="A Ray cluster (HOST:PORT or auto); else a Ray of this machine.")
]
TasksOption = Annotated[
    str | None, typer.Option("--lm-eval", help="Tasks of lm-evaluation-harness for the trained network: NAME,NAME.")
]
IncludeOption = Annotated[
    Path | None, typer.Option("--lm-eval-include", help="Folder with further tasks, which you trust.", file_okay=False)
]
LimitOption = Annotated[int | None, typer.Option("--lm-eval-limit", help="Most documents of each task.", min=1)]

EXAMPLES = examples(
    "formulary pretrain model",
    "formulary pretrain model --max-steps 20",
    "formulary pretrain model --corpus-root ~/texts",
    "formulary pretrain model --gpus 16 --ray-address auto",
    "formulary pretrain model --lm-eval hellaswag,arc_easy",
)


@placed
def pretrain(
    settings: Settings,
    folder: FolderArgument,
    max_steps: StepsOption = None,
    corpus_root: CorpusRootOption = None,
    processes: ProcessesOption = None,
    gpus: GpusOption = None,
    ray_address: AddressOption = None,
    lm_eval: TasksOption = None,
    lm_eval_include: IncludeOption = None,
    lm_eval_limit: LimitOption = None,
) -> None:
    """Train an exported config; it goes on from its last checkpoint when it is started again.

    Alone it trains in this process, on its GPU where there is one. DIR/tensorboard holds the curves, DIR/checkpoints
    the checkpoints, and when the run is done DIR/trained the network for transformers.
    """
    tasks = _tasks(folder, lm_eval, lm_eval_include, lm_eval_limit)
    display = TrainingDisplay(messages(), max_steps)
    try:
        with _steps(settings, folder, max_steps, corpus_root or (), (processes, gpus, ray_address), display) as steps:
            display.follow(steps)
    except KeyboardInterrupt:
        again = f"formulary pretrain {shlex.quote(str(folder))}"
        messages().print(f"stopped; go on from the last checkpoint, if there is one: {again}", soft_wrap=True)
        raise typer.Exit(130) from None
    except InvalidInput as error:
        if error.field not in PATHS:
            raise
        remedy = f"name the folder that holds it with --corpus-root, or change the path in {folder / 'formulary.json'}"
        raise InvalidInput(error.field, error.reason, remedy) from error
    display.report(results())
    _conclude(folder, display, tasks, max_steps)


@contextmanager
def _steps(
    settings: Settings,
    folder: Path,
    max_steps: int | None,
    corpus_roots: "list[Path] | tuple[()]",
    where: tuple[int | None, int | None, str | None],
    display: TrainingDisplay,
) -> Iterator[Generator[StepResult, None, None]]:
    """The steps of the run, in this process or through Ray; leaving the block ends it."""
    roots = settings.for_operator(folder, corpus_roots).corpus_roots
    processes, gpus, ray_address = where
    if processes is not None and gpus is not None:
        raise InvalidInput("processes", "--processes trains on CPUs, --gpus on GPUs", "give one of them")
    if ray_address is not None and gpus is None and processes is None:
        raise InvalidInput("ray_address", "how much of the cluster to use is not said", "give --gpus or --processes")
    with ExitStack() as stack:
        if gpus is None and processes is None:
            from trainer.pretrain import pretrain as train  # loads torch

            steps = train(folder, settings.storage, roots, max_steps, on_start=display.started)
        else:
            from search.cluster import connection, quiet_environment, quiet_logs  # loads Ray
            from trainer.launch import Processes, launch

            stack.enter_context(quiet_environment())
            stack.enter_context(quiet_logs())
            stack.enter_context(connection(ray_address))
            chosen = Processes(gpus or processes or 1, on_gpus=gpus is not None)
            steps = launch(folder, settings.storage, roots, max_steps, chosen, display.started, display.waiting)
        stack.callback(steps.close)
        yield steps


def _tasks(folder: Path, names: str | None, include: Path | None, limit: int | None) -> "Tasks | None":
    if names is None:
        if include is not None or limit is not None:
            raise InvalidInput("lm_eval", "no tasks are named", "give --lm-eval NAME,NAME")
        return None
    from trainer.lm_eval import Tasks, check_tasks  # loads torch and transformers

    tasks = Tasks([name.strip() for name in names.split(",") if name.strip()], include, limit)
    check_tasks(folder, tasks)
    return tasks


def _conclude(folder: Path, display: TrainingDisplay, tasks: "Tasks | None", max_steps: int | None) -> None:
    """Say where the checkpoint is; write the trained network where the run is done, and evaluate it where asked."""
    from trainer.checkpoints.state import latest_checkpoint

    console = results()
    found = latest_checkpoint(folder / "checkpoints")
    if found is None:
        return
    if display.last is None:
        again = f"remove {folder / 'checkpoints'} to start again"
        messages().print(f"the run is already at step {found[1].step}; {again}", soft_wrap=True)
    done = max_steps is None if display.last is None else display.last.step == display.last.steps
    if tasks is not None or done:
        _write_trained(folder, tasks, console)
    console.print(f"checkpoint: {found[0]}", soft_wrap=True)


def _write_trained(folder: Path, tasks: "Tasks | None", console: Console) -> None:
    from trainer.trained import can_write_trained, write_trained  # loads transformers

    if not can_write_trained(folder):
        return
    trained, step = write_trained(folder)
    console.print(f"for transformers: {trained}", soft_wrap=True)
    if tasks is None:
        return
    from trainer.lm_eval import evaluate_tasks, write_results

    evaluated = evaluate_tasks(trained, tasks)
    for task, numbers in evaluated.items():
        said = ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        console.print(f"{task}: {said}", soft_wrap=True)
    console.print(f"lm-eval: {write_results(folder, step, evaluated)}", soft_wrap=True)
