import json
import os
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from model.errors import InvalidInput
from trainer.checkpoints.writer import KEPT
from trainer.config import JsonlCorpus, ProxyConfig
from trainer.pretrain import pretrain
from trainer.results import StepResult
from trainer.run_folder import read_pretrain_config
from trainer.text.data import PreparedData

Run = Callable[..., list[StepResult]]


def write_document(folder: Path, fields: dict[str, Any]) -> None:
    (folder / "formulary.json").write_text(json.dumps({"version": 1, "pretrain": fields, "recipe": []}))


@pytest.fixture
def fields(config: ProxyConfig) -> dict[str, Any]:
    return {**config.model_dump(mode="json"), "checkpoint_every_steps": 4}


@pytest.fixture
def folder(tmp_path: Path, fields: dict[str, Any], data: PreparedData) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    shutil.copy(data.tokenizer_path, folder / "tokenizer.json")
    write_document(folder, fields)
    return folder


@pytest.fixture
def run(storage: Path, corpus: JsonlCorpus) -> Run:
    def start(folder: Path, max_steps: int | None = None, stop_after: int | None = None) -> list[StepResult]:
        results = pretrain(folder, storage, [Path(corpus.path).parent], max_steps)
        return list(islice(results, stop_after))

    return start


def losses(results: list[StepResult]) -> list[tuple[int, float, float]]:
    return [(result.step, result.train_loss, result.learning_rate) for result in results]


def test_a_run_stopped_and_resumed_ends_as_one_never_stopped(folder: Path, run: Run, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    whole = run(folder)
    first, rest = run(other, max_steps=5), run(other)
    assert losses(first) + losses(rest) == losses(whole)
    assert rest[-1].evaluation == whole[-1].evaluation
    assert first[-1].summary is not None
    assert rest[-1].summary is not None
    assert whole[-1].summary is not None
    assert rest[-1].summary.metrics["train_bytes"] == whole[-1].summary.metrics["train_bytes"]
    weights = [load_file(path / "checkpoints" / "step-00000012" / "model.safetensors") for path in (folder, other)]
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])


def test_a_run_that_was_cut_off_goes_on_from_its_last_checkpoint(folder: Path, run: Run, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    whole = run(folder)
    run(other, stop_after=6)
    (other / "checkpoints" / ".step-00000008.partial").mkdir()
    rest = run(other)
    assert losses(rest) == losses(whole)[4:]


def test_only_the_latest_checkpoints_stay(folder: Path, run: Run) -> None:
    run(folder)
    checkpoints = sorted(path.name for path in (folder / "checkpoints").iterdir() if path.is_dir())
    assert checkpoints == ["step-00000008", "step-00000012"][-KEPT:]
    assert (folder / "checkpoints" / "latest").read_text() == "step-00000012"


@pytest.mark.parametrize("max_steps", [None, 3, 12])
def test_a_run_that_is_far_enough_is_left_as_it_is(folder: Path, run: Run, max_steps: int | None) -> None:
    run(folder)
    before = sorted((path, path.stat().st_mtime_ns) for path in (folder / "checkpoints").glob("**/*.*"))
    assert run(folder, max_steps) == []
    assert sorted((path, path.stat().st_mtime_ns) for path in (folder / "checkpoints").glob("**/*.*")) == before


def test_max_steps_must_be_positive(folder: Path, run: Run) -> None:
    with pytest.raises(InvalidInput, match="max_steps: 0 is not positive"):
        run(folder, 0)


def test_initial_weights_are_used(folder: Path, fields: dict[str, Any], run: Run) -> None:
    trained = run(folder)
    shutil.copy(folder / "checkpoints" / "step-00000012" / "model.safetensors", folder / "start.safetensors")
    shutil.rmtree(folder / "checkpoints")
    write_document(folder, {**fields, "initial_weights": "start.safetensors"})
    again = run(folder, 2)
    assert again[0].train_loss < trained[0].train_loss - 0.1


@pytest.mark.parametrize("damage", ["shape", "name", "text", "missing"])
def test_initial_weights_that_do_not_fit_are_refused(
    folder: Path, fields: dict[str, Any], run: Run, damage: str
) -> None:
    run(folder, 2)
    weights = load_file(folder / "checkpoints" / "step-00000002" / "model.safetensors")
    shutil.rmtree(folder / "checkpoints")
    path = folder / "start.safetensors"
    name = min(weights)
    if damage == "shape":
        weights[name] = weights[name][:1].clone()
    if damage == "name":
        weights["other"] = weights.pop(name)
    save_file(weights, path)
    if damage == "text":
        path.write_text("not safetensors")
    if damage == "missing":
        path.unlink()
    write_document(folder, {**fields, "initial_weights": "start.safetensors"})
    with pytest.raises(InvalidInput) as caught:
        run(folder)
    assert caught.value.field in {"weights", "pretrain.initial_weights"}


def test_a_checkpoint_of_another_config_is_not_resumed(folder: Path, fields: dict[str, Any], run: Run) -> None:
    run(folder, 2)
    write_document(folder, {**fields, "checkpoint_every_steps": 3, "evaluations": 1})
    assert run(folder, 4)[0].step == 3
    write_document(folder, {**fields, "seed": 7})
    with pytest.raises(InvalidInput, match="written under another config"):
        run(folder)


def edit_step(path: Path, step: int) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "step": step}))


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_link(path: Path, target: Path) -> None:
    path.rename(target)
    path.symlink_to(target)


@pytest.mark.parametrize(
    "damage", ["pointer", "state", "large state", "step", "model", "optimizer", "pipe", "file link", "link"]
)
def test_a_damaged_checkpoint_is_refused(folder: Path, run: Run, tmp_path: Path, damage: str) -> None:
    run(folder, 2)
    checkpoints = folder / "checkpoints"
    latest = checkpoints / "step-00000002"
    if damage == "link":
        checkpoints.rename(tmp_path / "elsewhere")
        checkpoints.symlink_to(tmp_path / "elsewhere")
    else:
        damages: dict[str, Callable[[], object]] = {
            "pointer": lambda: (checkpoints / "latest").write_text("../../elsewhere"),
            "state": lambda: (latest / "state.json").write_text("{}"),
            "large state": lambda: (latest / "state.json").write_text(" " * 100_000),
            "step": lambda: edit_step(latest / "state.json", 10**9),
            "pipe": lambda: replace_by_pipe(latest / "optimizer.safetensors"),
            "file link": lambda: replace_by_link(latest / "model.safetensors", tmp_path / "elsewhere"),
            "model": lambda: shutil.copy(latest / "optimizer.safetensors", latest / "model.safetensors"),
            "optimizer": lambda: (latest / "optimizer.safetensors").unlink(),
        }
        damages[damage]()
    with pytest.raises(InvalidInput) as caught:
        run(folder)
    assert caught.value.field == "checkpoints"
    assert len(str(caught.value).splitlines()) == 1


def test_one_process_at_a_time_trains_in_a_folder(folder: Path, storage: Path, corpus: JsonlCorpus, run: Run) -> None:
    first = pretrain(folder, storage, [Path(corpus.path).parent])
    next(first)
    with pytest.raises(InvalidInput, match="another process trains"):
        run(folder)
    first.close()
    assert run(folder, 2)[-1].finished


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"{", "formulary.json"),
        (b"[" * 100_000, "formulary.json"),
        (b" " * (5 * 2**20), "formulary.json"),
        (b"[]", "formulary.json"),
        (b'{"version": 2, "pretrain": {}}', "formulary.json"),
        (b'{"version": 1}', "pretrain"),
        (b'{"version": 1, "pretrain": {}}', "pretrain.architecture"),
    ],
)
def test_a_document_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes, field: str) -> None:
    (tmp_path / "formulary.json").write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        read_pretrain_config(tmp_path)
    assert caught.value.field == field
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tokenizer": "../tokenizer.json"}, "pretrain.tokenizer"),
        ({"tokenizer": "/etc/passwd"}, "pretrain.tokenizer"),
        ({"tokenizer": "none.json"}, "pretrain.tokenizer"),
        ({"tokenizer": "link.json"}, "pretrain.tokenizer"),
        ({"corpus": {"kind": "text", "path": "/etc/passwd"}}, "pretrain.corpus.path"),
        ({"unknown": 1}, "pretrain.unknown"),
        ({"seed": -1}, "pretrain.seed"),
        ({"validation_bytes": 10**9}, "pretrain.corpus"),
    ],
)
def test_hostile_fields_are_refused(
    folder: Path, fields: dict[str, Any], data: PreparedData, run: Run, change: dict[str, Any], field: str
) -> None:
    (folder / "link.json").symlink_to(data.tokenizer_path)
    write_document(folder, {**fields, **change})
    with pytest.raises(InvalidInput) as caught:
        run(folder)
    assert caught.value.field == field


def test_the_tokenizer_must_have_the_size_of_the_architecture(folder: Path, fields: dict[str, Any], run: Run) -> None:
    write_document(folder, {**fields, "architecture": {**fields["architecture"], "vocabulary_size": 512}})
    with pytest.raises(InvalidInput, match="has 300 tokens, the architecture has 512"):
        run(folder)


def test_a_missing_folder_is_named(tmp_path: Path, run: Run) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        run(tmp_path / "none")
