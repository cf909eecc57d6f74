"""A run in rounds goes on from any of its checkpoints, and from nothing that is none of its own."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model.errors import InvalidInput
from trainer.checkpoints.rounds import ROUNDS_FILE
from trainer.config import JsonlCorpus, ProxyConfig
from trainer.pretrain import pretrain
from trainer.results import StepResult
from trainer.text.data import PreparedData

STOPS = (4, 6, 8, 12)
"""Inside the first round of 6 steps, at its end, inside of the second one of 3, and at the run's end."""
Export = Callable[..., Path]
Run = Callable[..., list[StepResult]]


@pytest.fixture
def export(tmp_path: Path, config: ProxyConfig, data: PreparedData) -> Export:
    def write(name: str = "export", **rounds: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(data.tokenizer_path, folder / "tokenizer.json")
        fields = {**config.model_dump(mode="json"), "multiple_rounds": {"rounds": 3, "parts": 2, **rounds}}
        document = {"version": 1, "pretrain": {**fields, "checkpoint_every_steps": 1}, "recipe": []}
        (folder / "formulary.json").write_text(json.dumps(document))
        return folder

    return write


@pytest.fixture
def run(storage: Path, corpus: JsonlCorpus) -> Run:
    def start(folder: Path, max_steps: int | None = None) -> list[StepResult]:
        return list(pretrain(folder, storage, [Path(corpus.path).parent], max_steps))

    return start


@pytest.mark.parametrize(
    "rounds",
    [
        {},
        pytest.param({"losses": "end"}, marks=pytest.mark.chaos),
        pytest.param({"selection": "fresh"}, marks=pytest.mark.chaos),
    ],
)
def test_a_run_resumed_in_every_round_and_between_them_ends_as_one_never_stopped(
    export: Export, run: Run, rounds: dict[str, str]
) -> None:
    whole = run(export("whole", **rounds))
    folder = export("stopped", **rounds)
    parts = [result for step in STOPS for result in run(folder, step)]
    assert [(each.step, each.train_loss) for each in parts] == [(each.step, each.train_loss) for each in whole]
    assert parts[-1].evaluation == whole[-1].evaluation
    assert parts[-1].summary is not None
    assert whole[-1].summary is not None
    same = {"selected_loss_gain", "unique_tokens", "repeated_tokens", "spent_flops"} & whole[
        -1
    ].summary.attributes.keys()
    assert len(same) == (4 if rounds.get("selection") is None else 3)
    assert all(parts[-1].summary.attributes[name] == whole[-1].summary.attributes[name] for name in same)
    written = b"".join(path.read_bytes() for path in (folder / "tensorboard").iterdir())
    assert b"parts/loss_1" in written
    assert b"parts/loss_2" in written


def rounds_file(folder: Path) -> Path:
    name = (folder / "checkpoints" / "latest").read_text()
    return folder / "checkpoints" / name / ROUNDS_FILE


def save_as(path: Path, step: int = 7, **changes: torch.Tensor) -> None:
    save_file({**load_file(path), **changes}, path, metadata={"step": str(step)})


def orders(*places: int) -> torch.Tensor:
    return torch.tensor([places, (0, 0, 0)], dtype=torch.int32)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path.unlink(), "is no file of the checkpoint"),
    "pickle": (lambda path: path.write_bytes(b"\x80\x04]\x94."), "cannot be read"),
    "other step": (lambda path: save_as(path, step=6), "is of step 6, not 7"),
    "other name": (lambda path: save_as(path, more=torch.zeros(1)), "is not of these rounds"),
    "other type": (lambda path: save_as(path, orders=orders(0, 3, 4).long()), "is not of these rounds"),
    "other shape": (lambda path: save_as(path, losses=torch.zeros(5)), "is not of these rounds"),
    "not finite": (lambda path: save_as(path, losses=torch.full((6,), np.nan)), "losses that are not finite"),
    "gain": (
        lambda path: save_as(path, gains=torch.tensor([np.inf, 0.0], dtype=torch.float64)),
        "gains of rounds that are not finite",
    ),
    "twice": (lambda path: save_as(path, orders=orders(0, 3, 3)), "round 2 of .* takes other batches from part 2"),
    "beyond": (lambda path: save_as(path, orders=orders(0, 3, 6)), "round 2 of .* takes other batches from part 2"),
    "negative": (lambda path: save_as(path, orders=orders(-1, 3, 4)), "takes other batches from part 1"),
    "other part": (lambda path: save_as(path, orders=orders(4, 3, 5)), "takes other batches from part 1"),
}


def test_a_damaged_file_is_refused(export: Export, run: Run) -> None:
    whole = export()
    run(whole, 7)
    for name, (damage, said) in DAMAGES.items():
        folder = shutil.copytree(whole, whole.parent / name)
        damage(rounds_file(folder))
        with pytest.raises(InvalidInput, match=said):
            run(folder)


def test_a_checkpoint_that_denies_its_rounds_is_refused(export: Export, run: Run) -> None:
    folder = export()
    run(folder, 7)
    state = rounds_file(folder).with_name("state.json")
    state.write_text(json.dumps({**json.loads(state.read_text()), "rounds": False}))
    with pytest.raises(InvalidInput, match="is not of a run of these rounds"):
        run(folder)
