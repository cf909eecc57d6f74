"""``formulary layers``: how much each layer of a network is worth, before a smaller one inherits from it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from api.commands.corpora import BUILTIN, named_corpus
from api.commands.options import JsonOption, examples, placed
from api.settings import Settings
from api.terminal.consoles import messages, results
from api.terminal.streams import print_json
from model.errors import InvalidInput

if TYPE_CHECKING:
    from trainer.inheritance.survey import Survey

EXAMPLES = examples(
    "formulary layers run --depth 6",
    "formulary layers llama --corpus texts.jsonl --plot layers.html",
)
FIELD = "DIR"

FolderArgument = Annotated[
    Path,
    typer.Argument(metavar="DIR", help="A LLaMA or Qwen3 folder of transformers, or one that was pretrained here."),
]
CorpusOption = Annotated[
    str,
    typer.Option(
        "--corpus",
        metavar="PATH",
        help="A text file, a folder of *.txt, or JSON lines (.gz too); 'builtin' is Python's own library.",
    ),
]
DepthOption = Annotated[
    int | None, typer.Option("--depth", min=1, help="Layers of a smaller network: show which ones it would keep.")
]
BytesOption = Annotated[
    int, typer.Option("--calibration-bytes", min=1000, max=2**30, help="Bytes of the training side to measure on.")
]
ValidationOption = Annotated[
    int, typer.Option("--validation-bytes", min=1000, max=2**32, help="Bytes that are held out of it, as in a study.")
]
FieldOption = Annotated[str, typer.Option("--text-field", help="Field of JSON lines that holds the text.")]
PlotOption = Annotated[Path | None, typer.Option("--plot", metavar="FILE.html", help="Write the curves as a page.")]


@placed
def show_layers(
    settings: Settings,
    folder: FolderArgument,
    corpus: CorpusOption = BUILTIN,
    depth: DepthOption = None,
    calibration_bytes: BytesOption = 100_000,
    validation_bytes: ValidationOption = 100_000,
    text_field: FieldOption = "text",
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure bits per byte of a network with 1, 2 and 3 consecutive layers skipped, at every place (F4).

    What a layer's absence costs is what it is worth to a smaller network that inherits. Windows begin anew at most
    every 1024 tokens.
    """
    from model.inheritance.layers import choose_layers
    from trainer.inheritance.survey import survey
    from trainer.text.cached_corpus import CachedCorpus

    source = CachedCorpus(named_corpus(corpus, text_field), validation_bytes, settings.storage, "--corpus")
    with _watched(messages()) as progress:
        found = survey(folder, source, calibration_bytes, progress, FIELD)
    layers = found.architecture.depth
    if depth is not None and depth > layers:
        raise InvalidInput("--depth", f"{depth} is more than the {layers} layers of {folder}", "give at most as many")
    kept = () if depth is None else choose_layers("importance", found.importance, layers, depth)
    if plot is not None:
        _write_plot(plot, folder, found, kept)
    if as_json:
        print_json(_document(found, kept))
    else:
        _show(found, kept)


def _document(found: "Survey", kept: tuple[int, ...]) -> dict[str, object]:
    return {
        "architecture": found.architecture.model_dump(),
        **found.importance.model_dump(),
        "calibration_bytes": found.calibration_bytes,
        "context": found.context,
        "flops": found.flops,
        "kept": list(kept),
    }


def _show(found: "Survey", kept: tuple[int, ...]) -> None:
    from api.terminal.layer_table import layer_table

    console = results()
    console.print(layer_table(found.importance, kept))
    whole = f"the whole network: {found.importance.bits_per_byte:.4f} bits per byte"
    console.print(f"{whole} on {found.calibration_bytes:,} bytes of training text", soft_wrap=True)
    if kept:
        console.print(f"a network of {len(kept)} layers keeps {', '.join(map(str, kept))}", soft_wrap=True)


def _write_plot(path: Path, folder: Path, found: "Survey", kept: tuple[int, ...]) -> None:
    from api.plots.layers import layer_figure
    from api.plots.page import page

    path.write_text(page(f"Layers of {folder.name}", layer_figure(found.importance, kept)), encoding="utf-8")
    messages().print(f"wrote {path}", soft_wrap=True)


@contextmanager
def _watched(console: Console) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("measuring", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
