"""A small corpus and what every export needs."""

import argparse
import ast
import inspect
import json
import typing
from pathlib import Path

import pytest

from studies.exports import Provenance, collect_provenance
from tests.studies.exports.recipes import SPEC


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few modules of the standard library, so that reading them and training a tokenizer takes no time."""
    path = tmp_path_factory.mktemp("allowed") / "sources.jsonl"
    documents = [json.dumps({"text": inspect.getsource(module)}) for module in (argparse, inspect, typing, ast)]
    path.write_text("\n".join(documents), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="session")
def provenance() -> Provenance:
    return collect_provenance(7, SPEC, trials=[3, 0, 1, 2, 9], formulas=[])
