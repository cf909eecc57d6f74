"""The importance of layers as the command shows it, on a network in a folder."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli import app
from trainer.config import JsonlCorpus


def _ran(parent_folder: Path, corpus: JsonlCorpus, home: Path, *options: str) -> tuple[int, str]:
    given = ["--corpus", corpus.path, "--calibration-bytes", "4000", "--validation-bytes", "10000"]
    result = CliRunner().invoke(app, ["layers", str(parent_folder), *given, "--home", str(home), *options])
    return result.exit_code, result.output


def test_layers_are_shown_with_those_that_a_smaller_network_keeps(
    parent_folder: Path, corpus: JsonlCorpus, tmp_path: Path
) -> None:
    plot = tmp_path / "layers.html"
    code, said = _ran(parent_folder, corpus, tmp_path, "--depth", "2", "--plot", str(plot))
    assert code == 0, said
    assert "a network of 2 layers keeps 0, 3" in said
    assert "layers 0 to 2" in plot.read_text(encoding="utf-8")
    code, said = _ran(parent_folder, corpus, tmp_path, "--json", "--depth", "2")
    document = json.loads(said)
    assert [len(row) for row in document["skipped"]] == [4, 3, 2]
    assert document["kept"] == [0, 3]
    assert min(document["skipped"][0]) > document["bits_per_byte"] - 0.2


@pytest.mark.parametrize(("options", "field"), [(["--depth", "5"], "--depth"), (["--corpus", "missing"], "--corpus")])
def test_what_cannot_be_measured_is_named(
    parent_folder: Path, corpus: JsonlCorpus, tmp_path: Path, options: list[str], field: str
) -> None:
    code, said = _ran(parent_folder, corpus, tmp_path, *options)
    assert code == 1
    assert f"error: {field}" in said
