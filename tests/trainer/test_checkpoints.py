"""Rows of tensors in files: any number of processes reads what any other number wrote, and nothing else is read."""

import json
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from model.errors import InvalidInput
from trainer.checkpoints.rows import file_names, read_rows, write_rows
from trainer.checkpoints.state import latest_checkpoint
from trainer.config import JsonlCorpus, ProxyConfig
from trainer.parallel.world import World
from trainer.pretrain import pretrain
from trainer.text.data import PreparedData

SHAPES = {"table": torch.Size((7, 3)), "gain": torch.Size((3,)), "small": torch.Size((1, 2))}


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


def worlds(size: int) -> list[World]:
    return [World(rank, size, torch.device("cpu"), "gloo") for rank in range(size)]


def write(folder: Path, size: int, step: int = 4) -> list[Path]:
    paths = [folder / name for name in file_names("model", size)]
    for world, path in zip(worlds(size), paths, strict=True):
        rows = {name: tensor[world.rows(len(tensor))].clone() for name, tensor in tensors().items()}
        write_rows(path, rows, step)
    return paths


@settings(max_examples=30)
@given(writers=st.integers(1, 9), readers=st.integers(1, 9))
def test_any_number_of_processes_reads_what_any_number_wrote(
    tmp_path_factory: pytest.TempPathFactory, writers: int, readers: int
) -> None:
    paths = write(tmp_path_factory.mktemp("rows"), writers)
    parts = [read_rows(paths, 4, SHAPES, world.rows) for world in worlds(readers)]
    for name, tensor in tensors().items():
        assert torch.cat([part[name] for part in parts]).equal(tensor)


Damage = Callable[[list[Path]], object]


def save_as(path: Path, step: int = 4, **changes: torch.Tensor) -> None:
    save_file({**load_file(path), **changes}, path, metadata={"step": str(step)})


DAMAGES: dict[str, tuple[Damage, str]] = {
    "pickle": (lambda paths: paths[1].write_bytes(pickle.dumps({"table": [1]})), "cannot be read"),
    "missing": (lambda paths: paths[1].unlink(), "cannot be read"),
    "cut": (lambda paths: paths[1].write_bytes(paths[1].read_bytes()[:-8]), "cannot be read"),
    "twice the same": (lambda paths: shutil.copy(paths[0], paths[1]), "table has 8 rows"),
    "too few rows": (lambda paths: save_as(paths[1], table=torch.zeros(1, 3)), "table has 5 rows"),
    "other columns": (
        lambda paths: save_as(paths[1], table=torch.zeros(3, 4)),
        "does not fit the architecture at table",
    ),
    "other name": (lambda paths: save_as(paths[1], other=torch.zeros(1)), "does not fit the architecture at other"),
    "no rows": (lambda paths: save_as(paths[1], table=torch.zeros(())), "does not fit the architecture at table"),
    "other type": (lambda paths: save_as(paths[1], table=torch.zeros(3, 3, dtype=torch.int64)), "has dtype I64"),
    "other step": (lambda paths: save_as(paths[1], step=8), "is of step 8, not 4"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_rows_are_refused(tmp_path: Path, damage: str) -> None:
    paths = write(tmp_path, 2)
    damages, said = DAMAGES[damage]
    damages(paths)
    with pytest.raises(InvalidInput, match=said) as caught:
        read_rows(paths, 4, SHAPES, worlds(1)[0].rows)
    assert caught.value.field == "checkpoints"
    assert len(str(caught.value).splitlines()) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from trainer.checkpoints import rows
from trainer.pretrain import pretrain

save_file = rows.save_file

def killed(tensors, path, metadata):
    if metadata["step"] == "8" and path.name == "optimizer.safetensors":
        path.write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    save_file(tensors, path, metadata)

rows.save_file = killed
folder, storage, root = map(Path, sys.argv[1:])
list(pretrain(folder, storage, [root]))
"""


def test_a_run_killed_while_it_writes_goes_on_from_the_checkpoint_before(
    tmp_path: Path, config: ProxyConfig, data: PreparedData, storage: Path, corpus: JsonlCorpus
) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    shutil.copy(data.tokenizer_path, whole / "tokenizer.json")
    fields = {**config.model_dump(mode="json"), "checkpoint_every_steps": 4}
    (whole / "formulary.json").write_text(json.dumps({"version": 1, "pretrain": fields, "recipe": []}))
    other = shutil.copytree(whole, tmp_path / "other")
    root = Path(corpus.path).parent
    command = [sys.executable, "-c", KILLED, str(other), str(storage), str(root)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
    assert [path.name for path in (other / "checkpoints").glob(".*.partial")] == [".step-00000008.partial"]
    found = latest_checkpoint(other / "checkpoints")
    assert found is not None
    assert found[1].step == 4
    expected = {result.step: result.train_loss for result in pretrain(whole, storage, [root])}
    rest = {result.step: result.train_loss for result in pretrain(other, storage, [root])}
    assert rest == {step: loss for step, loss in expected.items() if step > 4}
    assert list((other / "checkpoints").glob(".*.partial")) == []


@pytest.mark.parametrize("shards", [0, 2, 10**9])
def test_a_checkpoint_without_its_shards_is_refused(tmp_path: Path, shards: int) -> None:
    checkpoint = tmp_path / "step-00000004"
    checkpoint.mkdir()
    (tmp_path / "latest").write_text(checkpoint.name)
    state = {"config_key": "", "precision": "float32", "step": 4, "train_bytes": 1, "shards": shards}
    (checkpoint / "state.json").write_text(json.dumps({**state, "training_seconds": 1.0, "evaluation_seconds": 1.0}))
    write(checkpoint, 1)
    with pytest.raises(InvalidInput, match=r"model-00001-of-00002|unusable fields"):
        latest_checkpoint(tmp_path)
