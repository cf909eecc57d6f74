"""Standard output and error as they are found: closed, or in an encoding that lacks most characters."""

import io
import json
import sys
from typing import Any

import typer


def open_streams() -> None:
    """Let output replace characters that its encoding lacks, and go nowhere where a stream was closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.StringIO())
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def print_json(document: Any) -> None:
    """Print a document for programs; characters are escaped where the encoding of standard output may lack them."""
    escaped = not (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    typer.echo(json.dumps(document, indent=2, ensure_ascii=escaped))
