"""Exports of recipes that inherit their weights, train in rounds or learn from a teacher."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from model.hf import write_hf_folder
from model.initialization import initialize
from model.tokenizer import load_tokenizer
from model.transformer import Transformer
from studies.exports import ExportManifest, Provenance, write_export
from studies.recipe import Recipe
from studies.recipe.formats import FORMATS, lacking
from studies.recipe.models import KnownModel, Models
from tests.studies.exports.recipes import changed, recipe_on
from trainer.config import JsonlCorpus
from trainer.pretrain import pretrain
from trainer.text.data import prepare

torch.set_num_threads(1)
LARGER = ArchitectureConfig(
    vocabulary_size=512, depth=6, width=128, ffn_width=512, head_dim=16, kv_heads=8, sequence_length=64
)


@pytest.fixture(scope="session")
def jsonl(corpus: Path) -> JsonlCorpus:
    return JsonlCorpus(kind="jsonl", path=str(corpus))


@pytest.fixture(scope="session")
def larger(jsonl: JsonlCorpus, storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A larger network, drawn, with the tokenizer of these recipes."""
    folder = tmp_path_factory.mktemp("models") / "larger"
    network = Transformer(LARGER)
    initialize(network, "constant", 0.1, 5)
    write_hf_folder(network, load_tokenizer(prepare(jsonl, 512, 4000, storage).tokenizer_path), folder)
    return folder


@pytest.fixture(scope="session")
def inherited(jsonl: JsonlCorpus, larger: Path) -> Recipe:
    parent = KnownModel(str(larger), "larger", LARGER)
    how = {"neurons": "l1", "calibration_bytes": 4000}
    sections = {"inherit": {"parent": {"kind": "folder", "path": str(larger)}, **how}}
    return recipe_on(jsonl, Models(parent), sections, rounds=2, parts=2)


@pytest.fixture(scope="session")
def alone(jsonl: JsonlCorpus, larger: Path) -> Recipe:
    """In one round, so that more formats can hold it."""
    parent = KnownModel(str(larger), "larger", LARGER)
    sections = {"inherit": {"parent": {"kind": "folder", "path": str(larger)}, "neurons": "l1", "layers": "first"}}
    return recipe_on(jsonl, Models(parent), sections)


def export(
    format: str, recipe: Recipe, provenance: Provenance, storage: Path, folder: Path
) -> tuple[dict[str, Any], ExportManifest]:
    manifest = write_export(format, recipe, provenance, storage, folder)
    return json.loads((folder / "formulary.json").read_text(encoding="utf-8")), manifest


def test_formulary_names_the_parent_and_trains_from_it(
    inherited: Recipe, larger: Path, provenance: Provenance, storage: Path, tmp_path: Path, corpus: Path
) -> None:
    document, manifest = export("formulary", inherited, provenance, storage, tmp_path / "export")
    assert document["pretrain"]["inheritance"]["parent"] == str(larger)
    assert document["evidence"]["plan"]["start"]["parent_depth"] == 6
    assert any("from inherited weights" in line for line in manifest.smoke_test.done)
    page = (tmp_path / "export" / "README.md").read_text(encoding="utf-8")
    assert "weights inherited from larger" in page
    assert "round 2: " in page
    assert str(larger) not in page
    said: list[Any] = []
    folder = tmp_path / "export"
    first = list(pretrain(folder, storage, [corpus.parent, larger.parent], 12, on_start=said.append))
    assert said[0].round_ends == (14, 20)
    assert any("larger" in line and "l1" in line for line in said[0].lines)
    record = (folder / "inheritance.json").rename(tmp_path / "record.json")
    with pytest.raises(InvalidInput, match=r"^checkpoints: .*inheritance.json is missing or broken"):
        next(pretrain(folder, storage, [corpus.parent, larger.parent]))
    record.rename(folder / "inheritance.json")
    moved = larger.rename(larger.with_name("moved"))  # a checkpoint holds what was inherited
    try:
        shutil.copytree(moved, larger)
        settings = json.loads((larger / "config.json").read_text(encoding="utf-8"))
        (larger / "config.json").write_text(json.dumps({**settings, "rms_norm_eps": 1e-3}), encoding="utf-8")
        with pytest.raises(InvalidInput, match=r"^checkpoints: the run started from another parent"):
            next(pretrain(folder, storage, [corpus.parent, larger.parent]))
        shutil.rmtree(larger)
        rest = list(pretrain(folder, storage, [corpus.parent, larger.parent], on_start=said.append))
    finally:
        moved.rename(larger)
    assert [result.step for result in first + rest] == list(range(1, 21))
    assert any("a parent that is gone" in line for line in said[1].lines)


def test_other_formats_hold_what_was_inherited(
    alone: Recipe, larger: Path, provenance: Provenance, storage: Path, tmp_path: Path, corpus: Path
) -> None:
    document, _ = export("hf", alone, provenance, storage, tmp_path / "hf")
    assert document["pretrain"]["inheritance"] is None
    assert document["pretrain"]["initial_weights"] == "model.safetensors"
    fields = {field["name"]: field for field in document["recipe"]}
    assert "inherited from larger" in fields["initial_weights"]["note"]
    assert (fields["inheritance"]["source"], fields["inheritance"]["reference"]) == ("derived", "initial_weights")
    record = json.loads((tmp_path / "hf" / "inheritance.json").read_text(encoding="utf-8"))
    assert record["layers"] == list(range(len(record["layers"])))
    own, theirs = (load_file(folder / "model.safetensors") for folder in (tmp_path / "hf", larger))
    name = "model.layers.0.mlp.gate_proj.weight"
    rows = {tuple(row) for row in theirs[name].abs().sort().values.tolist()}
    assert own[name].shape[0] < len(rows)
    formulary = export("formulary", alone, provenance, storage, tmp_path / "formulary")[0]
    assert formulary["pretrain"]["inheritance"]["neurons"] == "l1"
    losses = [
        next(iter(pretrain(tmp_path / name, storage, [corpus.parent, larger.parent]))).train_loss
        for name in ("hf", "formulary")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_what_a_format_cannot_hold_is_refused_by_name(
    inherited: Recipe, alone: Recipe, jsonl: JsonlCorpus, larger: Path, provenance: Provenance, tmp_path: Path
) -> None:
    sections = {"teacher": {"model": {"kind": "folder", "path": str(larger)}}}
    taught = recipe_on(jsonl, Models(teacher=KnownModel(str(larger), "larger", LARGER)), sections)
    for format in ("litgpt", "torchtitan", "internevo"):
        assert any("round" in line for line in lacking(format, inherited.config))
        assert any("teacher" in line for line in lacking(format, taught.config))
        assert any("inherited" in line for line in lacking(format, alone.config)) == (format == "internevo")
        with pytest.raises(InvalidInput, match=r"^format: .*teacher.* use the format "):
            write_export(format, taught, provenance, tmp_path, tmp_path / "export")
    assert not lacking("formulary", inherited.config)
    assert set(FORMATS) >= {"formulary", "hf"}


def test_a_teacher_is_tried_with_the_first_steps(
    jsonl: JsonlCorpus, larger: Path, provenance: Provenance, storage: Path, tmp_path: Path
) -> None:
    sections = {"teacher": {"model": {"kind": "folder", "path": str(larger)}, "weight": 0.25}}
    recipe = recipe_on(jsonl, Models(teacher=KnownModel(str(larger), "larger", LARGER)), sections)
    document, manifest = export("formulary", recipe, provenance, storage, tmp_path / "export")
    assert document["pretrain"]["distillation"]["weight"] == 0.25
    assert any("beside the teacher" in line for line in manifest.smoke_test.done)


def test_a_parent_that_is_gone_leaves_no_export(
    alone: Recipe, larger: Path, provenance: Provenance, storage: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(larger, tmp_path / "models" / "larger")
    recipe = changed(alone, parent=str(copy))
    shutil.rmtree(copy)
    for format in ("formulary", "hf"):
        with pytest.raises(InvalidInput, match="no folder"):
            write_export(format, recipe, provenance, storage, tmp_path / "export")
        assert not (tmp_path / "export").exists()
