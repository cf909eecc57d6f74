"""What a command is given that stands for a campaign, or for a study of one: a preset or a file."""

from pathlib import Path
from typing import Annotated, Any

import typer

from api.spec_file import read_spec
from model.errors import InvalidInput

PRESET, CAMPAIGN = "preset:", "campaign:"
JSON_LINES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")

Json = dict[str, Any]
SourceArgument = Annotated[
    Path,
    typer.Argument(metavar="CAMPAIGN.yaml|preset:NAME", help="A campaign's file, or one that comes with Formulary."),
]
CorpusOption = Annotated[
    Path | None,
    typer.Option("--corpus", help="Text, folder of texts or JSON lines that takes the place of the campaign's corpus."),
]
NameOption = Annotated[str | None, typer.Option("--name", help="Name in place of the campaign's own.")]
PlanOption = Annotated[bool, typer.Option("--plan", help="Show stages and cost of a campaign; train nothing.")]


def is_campaign(document: Json) -> bool:
    """Whether a document is a campaign and not a study."""
    return "stages" in document


def campaign_request(source: Path, corpus: Path | None, name: str | None) -> Json:
    """The body of a request for the campaign that ``source`` names.

    Raises:
        InvalidInput: a file cannot be read, or holds a study.
    """
    given = str(source)
    if given.startswith(PRESET):
        return {"preset": given.removeprefix(PRESET), **_changes(corpus, name)}
    document = read_spec(source)
    if not is_campaign(document):
        raise InvalidInput(given, "holds no stages", "a study is run with 'formulary run', or give a campaign's file")
    return {"document": document, **_changes(corpus, name)}


def _changes(corpus: Path | None, name: str | None) -> Json:
    changes: Json = {} if name is None else {"name": name}
    if corpus is not None:
        kind = "jsonl" if corpus.name.endswith(JSON_LINES) else "text"
        changes["corpus"] = {"kind": kind, "path": str(corpus)}
    return changes
