"""A full run with a teacher: it resumes, notices another teacher, and draws the curve of the KL."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from model.counts import forward_flops_per_token, training_flops_per_token
from model.errors import InvalidInput
from model.hf import from_transformers
from trainer.config import JsonlCorpus, ProxyConfig
from trainer.pretrain import pretrain
from trainer.results import StepResult
from trainer.setup import RunSetup
from trainer.text.data import PreparedData

Run = Callable[..., list[StepResult]]


@pytest.fixture
def place(tmp_path: Path, teacher_folder: Path) -> Path:
    """Where a full run may read."""
    shutil.copytree(teacher_folder, tmp_path / "teacher")
    return tmp_path


@pytest.fixture
def folder(place: Path, config: ProxyConfig, data: PreparedData) -> Path:
    folder = place / "export"
    folder.mkdir()
    shutil.copy(data.tokenizer_path, folder / "tokenizer.json")
    _write(folder, config, place / "teacher")
    return folder


def _write(folder: Path, config: ProxyConfig, teacher: Path) -> None:
    fields = config.model_dump(mode="json") | {"distillation": {"teacher": str(teacher)}, "checkpoint_every_steps": 4}
    (folder / "formulary.json").write_text(json.dumps({"version": 1, "pretrain": fields, "recipe": []}))


@pytest.fixture
def run(place: Path, storage: Path, corpus: JsonlCorpus) -> Run:
    def start(folder: Path, max_steps: int, setups: list[RunSetup] | None = None) -> list[StepResult]:
        told = None if setups is None else setups.append
        return list(pretrain(folder, storage, [place, Path(corpus.path).parent], max_steps, on_start=told))

    return start


def test_a_run_resumes_with_its_teacher_wherever_that_lies(
    folder: Path, place: Path, config: ProxyConfig, run: Run
) -> None:
    other = shutil.copytree(folder, place / "other")
    whole = run(folder, 6)
    first = run(other, 4)
    (place / "teacher").rename(place / "moved")
    _write(other, config, place / "moved")
    told = [(result.train_loss, result.kl) for result in (*first, *run(other, 6))]
    assert told == [(result.train_loss, result.kl) for result in whole]


def test_another_teacher_is_noticed(folder: Path, place: Path, run: Run, write_teacher: Callable[..., Path]) -> None:
    run(folder, 4)
    shutil.rmtree(place / "teacher")
    shutil.copytree(write_teacher(seed=12), place / "teacher")
    with pytest.raises(InvalidInput, match="was written under another config"):
        run(folder, 6)


def test_the_kl_is_a_curve_and_its_teacher_is_counted(folder: Path, place: Path, config: ProxyConfig, run: Run) -> None:
    setups: list[RunSetup] = []
    results = run(folder, 4, setups)
    curves = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    drawn = [(point.step, point.value) for point in curves.Scalars("train/kl")]
    assert [step for step, _ in drawn] == [1, 2, 3, 4]
    assert [value for _, value in drawn] == pytest.approx([result.kl for result in results], rel=1e-6)
    teacher = from_transformers(place / "teacher").config.model_copy(update={"sequence_length": 32})
    student = training_flops_per_token(config.architecture)
    assert setups[0].flops_per_token == student + forward_flops_per_token(teacher)
