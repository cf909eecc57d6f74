"""Tasks of lm-evaluation-harness on a trained network: a task of our own on a data set beside it, no network."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from model.errors import InvalidInput
from trainer.config import JsonlCorpus, ProxyConfig
from trainer.lm_eval import Tasks, check_tasks, evaluate_tasks, write_results
from trainer.pretrain import pretrain
from trainer.text.data import PreparedData
from trainer.trained import write_trained

lm_eval_tasks = pytest.importorskip("lm_eval.tasks", reason="lm-eval is not installed (extra eval)")
TASK_MANAGER = lm_eval_tasks.TaskManager
TEXTS = ["import os", "for x in y:", "def function(self):"]


@pytest.fixture
def folder(tmp_path: Path, data: PreparedData, config: ProxyConfig) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    shutil.copy(data.tokenizer_path, folder / "tokenizer.json")
    fields = {**config.model_dump(mode="json"), "checkpoint_every_steps": 4}
    (folder / "formulary.json").write_text(json.dumps({"version": 1, "pretrain": fields, "recipe": []}))
    return folder


@pytest.fixture
def include(tmp_path: Path) -> Path:
    """A perplexity task whose data set is a JSON file."""
    include = tmp_path / "tasks"
    include.mkdir()
    (include / "texts.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in TEXTS))
    task = {
        "task": "own_texts",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(include / "texts.jsonl")}},
        "test_split": "test",
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{text}}",
        "metric_list": [{"metric": "bits_per_byte"}, {"metric": "byte_perplexity"}],
    }
    (include / "own_texts.yaml").write_text(yaml.safe_dump(task))
    return include


def test_a_trained_network_is_evaluated(
    folder: Path, include: Path, storage: Path, corpus: JsonlCorpus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    list(pretrain(folder, storage, [Path(corpus.path).parent], 4))
    tasks = Tasks(["own_texts"], include)
    check_tasks(folder, tasks)
    trained, step = write_trained(folder)
    results = evaluate_tasks(trained, tasks)
    assert step == 4
    bits = results["own_texts"]["bits_per_byte"]
    assert 3 < bits < 12
    assert results["own_texts"]["byte_perplexity"] == pytest.approx(2**bits)
    assert all(math.isfinite(value) for value in results["own_texts"].values())
    path = write_results(folder, step, results)
    assert json.loads(path.read_text()) == {"step": 4, "results": results}


def _own_tasks(include_path: str, include_defaults: bool = True) -> Any:
    """Without those of the package, whose index takes seconds."""
    return TASK_MANAGER(include_path=include_path, include_defaults=False)


@pytest.mark.parametrize(
    ("names", "field"), [(["no such task"], "lm_eval"), ([], "lm_eval"), (["own_texts"] * 101, "lm_eval")]
)
def test_tasks_that_cannot_be_evaluated_are_refused_before_training(
    folder: Path, include: Path, names: list[str], field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lm_eval_tasks, "TaskManager", _own_tasks)
    with pytest.raises(InvalidInput) as caught:
        check_tasks(folder, Tasks(names, include))
    assert caught.value.field == field


def test_what_else_is_missing_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match=r"lm_eval_include: .* is no folder"):
        check_tasks(folder, Tasks(["own_texts"], tmp_path / "none"))
    with pytest.raises(InvalidInput, match="checkpoints: there is none"):
        write_trained(folder)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match=r"lm-eval is not installed; pip install 'formulary\[eval\]'"):
        check_tasks(folder, Tasks(["own_texts"]))
