"""Examples for the OpenAPI document; a test holds them to their schemas."""

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def load_examples() -> dict[str, Any]:
    """Bodies by the name of their schema: a study of 48 trials; its numbers are made up."""
    document: dict[str, Any] = json.loads(files("api.openapi").joinpath("examples.json").read_text(encoding="utf-8"))
    return document
