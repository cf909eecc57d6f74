"""``formulary tokenizer``: train a tokenizer, cut a small one out of a large one, see what sizes cost and cover."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from api.commands.corpora import named_corpus
from api.commands.options import JsonOption, examples, placed, remember_place
from api.settings import Settings
from api.terminal.consoles import messages, printable, results
from api.terminal.streams import print_json
from model.errors import InvalidInput

if TYPE_CHECKING:
    from model.tokenizer.compression import Method, Reduction
    from model.tokenizer.coverage import Report, Way

app = typer.Typer(no_args_is_help=True, help="Train, compress and judge tokenizers.")
app.callback()(remember_place)

SourceArgument = Annotated[
    Path,
    typer.Argument(
        metavar="TOKENIZER",
        help="A SentencePiece BPE .model, a tokenizer.json, a vocab.json beside its merges.txt, tiktoken ranks, or a "
        "folder with one of them.",
    ),
]
CorpusOption = Annotated[
    list[str],
    typer.Option(
        "--corpus",
        metavar="PATH",
        help="A text file, a folder of *.txt, or JSON lines (.gz too); 'builtin' is Python's own library. Repeatable.",
    ),
]
FieldOption = Annotated[str, typer.Option("--text-field", help="Field of JSON lines that holds the text.")]
SizeOption = Annotated[int, typer.Option("--size", help="Tokens of the new tokenizer, special ones included.", min=1)]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="A new or empty folder.")]
MethodOption = Annotated[
    str,
    typer.Option("--method", help="frequency: the tokens formed most often stay; merges: the first merges stay."),
]
SizesOption = Annotated[
    str | None, typer.Option("--sizes", help="Sizes with commas between; the paper's six, and the whole, if left out.")
]
WaysOption = Annotated[
    str, typer.Option("--methods", help="Of frequency, merges and retraining, with commas between; or all.")
]
ParametersOption = Annotated[int, typer.Option("--total-parameters", help="N of the network the share is of.", min=1)]
WidthOption = Annotated[int, typer.Option("--width", help="Its width d; the share is 2·V·d / N.", min=1)]
TiedOption = Annotated[bool, typer.Option("--tied", help="Its output head is its embedding: the share is V·d / N.")]
PlotOption = Annotated[Path | None, typer.Option("--plot", metavar="FILE.html", help="Write the curves as a page.")]


@app.command("train", epilog=examples("formulary tokenizer train --corpus texts --size 4096 --out tokenizer"))
@placed
def train(
    settings: Settings, corpus: CorpusOption, size: SizeOption, out: OutOption, text_field: FieldOption = "text"
) -> None:
    """Learn a byte-level BPE tokenizer from text; the folder loads with transformers' AutoTokenizer.

    Text beyond 32 MiB is sampled evenly.
    """
    from model.tokenizer import train_tokenizer
    from model.tokenizer.coverage import LEARNED_BYTES, SpreadSample
    from model.tokenizer.files import save_folder

    sample = SpreadSample(LEARNED_BYTES)
    with _appearing(out) as folder, _watched(messages()) as said:
        said("reading", 0)
        for text in _texts(corpus, text_field):
            sample.offer(text)
        if not any(sample.texts):
            raise InvalidInput("--corpus", "it holds no text", "give a corpus with text")
        said("training", 0)
        save_folder(train_tokenizer(sample.texts, size), folder)
    results().print(f"wrote a tokenizer of {size:,} tokens to {out}", soft_wrap=True)


@app.command(
    "compress",
    epilog=examples(
        "formulary tokenizer compress tokenizer.model --corpus texts --size 48000 --out small",
        "formulary tokenizer compress tokenizer.json --corpus a.jsonl.gz --corpus b.jsonl.gz --size 32000 --out small",
        "formulary tokenizer compress cl100k_base.tiktoken --corpus builtin --size 8000 --method merges --out small",
    ),
)
@placed
def compress(
    settings: Settings,
    source: SourceArgument,
    corpus: CorpusOption,
    size: SizeOption,
    out: OutOption,
    method: MethodOption = "frequency",
    text_field: FieldOption = "text",
) -> None:
    """Cut a tokenizer of exactly SIZE tokens out of a large one.

    Special tokens and the 256 bytes stay, so that every text still comes back; of the others those that a corpus needs
    most, each with the tokens that it is merged from. The folder loads with transformers' AutoTokenizer; its
    compression.json holds the coverage, and for each token its id in the large tokenizer.
    """
    from model.tokenizer.compression import reduction
    from model.tokenizer.coverage import count_source
    from model.tokenizer.reading import read_tokenizer

    chosen = _method(method)
    large = read_tokenizer(source, "TOKENIZER")
    large.check_size(size)
    with _appearing(out) as folder, _watched(messages()) as said:
        counted = count_source(large, _texts(corpus, text_field), lambda done: said("counting", done))
        said("cutting", counted.text_bytes)
        cut = reduction(large, chosen, counted.counts)
        _write_compressed(folder, cut, size, counted.text_bytes)
    for note in large.notes:
        messages().print(f"note: {note}", soft_wrap=True)
    covered = f"{cut.coverage(size):.2%} of its tokens in the corpus"
    results().print(f"kept {size:,} of {large.largest:,} tokens, {covered}; wrote {out}", soft_wrap=True)


def _write_compressed(folder: Path, cut: "Reduction", size: int, corpus_bytes: int) -> None:
    from model.tokenizer.files import save_folder
    from model.tokenizer.pairs import build

    pairs, large = cut.pairs(size), cut.source
    save_folder(build(pairs), folder)
    document = {
        "version": 1,
        "source": {"kind": large.kind, "sha256": large.fingerprint, "vocabulary_size": large.largest},
        "method": cut.method,
        "corpus_bytes": corpus_bytes,
        "coverage": cut.coverage(size),
        "notes": large.notes,
        "source_ids": [large.ids.get(token) for token in (*pairs.special, *pairs.tokens)],
    }
    (folder / "compression.json").write_text(json.dumps(document) + "\n", encoding="utf-8")


@app.command(
    "coverage",
    epilog=examples(
        "formulary tokenizer coverage tokenizer.model --corpus texts",
        "formulary tokenizer coverage tokenizer.model --corpus texts --sizes 1024,4096 --methods all --plot sizes.html",
        "formulary tokenizer coverage tokenizer.model --corpus texts --total-parameters 10000000 --width 256 --tied",
    ),
)
@placed
def coverage(
    settings: Settings,
    source: SourceArgument,
    corpus: CorpusOption,
    sizes: SizesOption = None,
    methods: WaysOption = "frequency",
    total_parameters: ParametersOption = 950_000_000,
    width: WidthOption = 1792,
    tied: TiedOption = False,
    text_field: FieldOption = "text",
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what each vocabulary size covers and costs, and the one that the paper's rule takes (F1).

    Coverage is the share of the large tokenizer's tokens in the corpus that are kept. Bytes per token are measured on
    one text in ten, which is set aside. The embedding share is that of the paper's 1B network unless you describe
    yours.
    """
    from model.tokenizer.coverage import Network, measure
    from model.tokenizer.reading import read_tokenizer

    large = read_tokenizer(source, "TOKENIZER")
    network = Network(total_parameters, width, tied)
    wanted = _sizes(sizes, large.smallest, large.largest)
    with _watched(messages()) as said:
        report = measure(large, _texts(corpus, text_field), wanted, _ways(methods), network, said)
    if plot is not None:
        _write_plot(plot, source, report)
    if as_json:
        print_json(report.document())
    else:
        _show(report)


def _show(report: "Report") -> None:
    from api.terminal.tokenizer_table import rule_sentence, tokenizer_table

    console = results()
    console.print(tokenizer_table(report))
    whole = f"{report.source_size:,} tokens: {report.source_bytes_per_token:.3f} bytes per token"
    console.print(f"the whole {report.source} tokenizer, {whole}", soft_wrap=True)
    console.print(rule_sentence(report), soft_wrap=True)
    for note in report.notes:
        messages().print(f"note: {printable(note)}", soft_wrap=True)


def _write_plot(path: Path, source: Path, report: "Report") -> None:
    from api.plots.page import page
    from api.plots.tokenizers import tokenizer_sizes

    path.write_text(page(f"Vocabulary sizes of {source.name}", tokenizer_sizes(report)), encoding="utf-8")
    messages().print(f"wrote {path}", soft_wrap=True)


def _texts(paths: Sequence[str], text_field: str) -> Iterator[str]:
    from trainer.text.reading import read_documents

    for path in paths:
        for document in read_documents(named_corpus(path, text_field), "--corpus"):
            yield document.text


def _method(text: str) -> "Method":
    if text == "frequency":
        return "frequency"
    if text == "merges":
        return "merges"
    raise typer.BadParameter("give frequency or merges", param_hint="--method")


def _ways(text: str) -> Sequence["Way"]:
    from model.tokenizer.coverage import WAYS

    asked = WAYS if text == "all" else [part.strip() for part in text.split(",")]
    known = [way for way in WAYS if way in asked]
    if len(known) != len(set(asked)):
        raise typer.BadParameter(f"give some of {', '.join(WAYS)}, or all", param_hint="--methods")
    return known


def _sizes(text: str | None, smallest: int, largest: int) -> list[int]:
    from model.tokenizer.coverage import SIZES

    if text is None:
        return [size for size in SIZES if smallest <= size < largest]
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise typer.BadParameter("give whole numbers with commas between", param_hint="--sizes")
    return sorted({int(part) for part in parts})


@contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    """A folder that takes the name ``out`` when all is written, so that a half of one is never seen."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InvalidInput("--out", f"{out} is not an empty folder", "give a new folder, or remove what is there")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
        folder = Path(scratch, "folder")
        folder.mkdir()
        yield folder
        folder.rename(out)


@contextmanager
def _watched(console: Console) -> Iterator[Callable[[str, int], None]]:
    """A line on a terminal that says what is being done and how much text has been counted."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading", total=None)
        yield lambda what, done: progress.update(task, description=f"{what}, {done / 1e6:,.0f} MB")
