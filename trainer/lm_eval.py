"""Tasks of EleutherAI's lm-evaluation-harness on a trained network (the extra ``eval``).

The network is loaded as plain LLaMA or Qwen3 weights; no code of a model's or a data set's author is run. A task's own
YAML may name functions in a file beside it: only name a folder of tasks that you trust.
"""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from model.errors import InvalidInput
from model.hf import check_exportable
from trainer.cache import write_atomically
from trainer.run_folder import read_pretrain_config

MAX_TASKS = 100
"""Most tasks of one evaluation (assumed)."""
BATCH_SIZE = 8
"""Requests of one forward pass (assumed)."""


@dataclass(frozen=True, slots=True)
class Tasks:
    """What to evaluate."""

    names: Sequence[str]
    """Names of tasks or groups."""
    include: Path | None = None
    """Folder with further tasks' YAML files; those of the package count as well."""
    limit: int | None = None
    """Most documents of each task; all of them when left out."""


def check_tasks(folder: Path, tasks: Tasks) -> None:
    """Check, before anything is trained, that the tasks can be evaluated.

    Raises:
        InvalidInput: lm-eval is not installed, does not know a task, or ``transformers`` has no class for the network.
    """
    if importlib.util.find_spec("lm_eval") is None:
        raise InvalidInput("lm_eval", "lm-eval is not installed", "pip install 'formulary[eval]'")
    check_exportable(read_pretrain_config(folder).architecture)
    if not 1 <= len(tasks.names) <= MAX_TASKS:
        raise InvalidInput("lm_eval", f"{len(tasks.names)} tasks are named", f"name 1 to {MAX_TASKS}")
    if tasks.include is not None and not tasks.include.is_dir():
        raise InvalidInput("lm_eval_include", f"{tasks.include} is no folder", "name a folder with tasks' YAML files")
    manager = _manager(tasks)
    unknown = [name for name in tasks.names if not manager.match_tasks([name])]
    if unknown:
        reason = f"lm-eval has no task {unknown[0]!r:.80}"
        raise InvalidInput("lm_eval", reason, "name one of `lm-eval ls tasks`, or the folder that holds it")


def evaluate_tasks(trained: Path, tasks: Tasks) -> dict[str, dict[str, float]]:
    """Evaluate a folder that ``transformers`` loads; the numbers of each task by metric.

    Raises:
        InvalidInput: lm-eval failed, most often because a data set could not be downloaded.
    """
    import lm_eval

    try:
        evaluated = lm_eval.simple_evaluate(
            model="hf",
            model_args={"pretrained": str(trained), "trust_remote_code": False, "dtype": "float32"},
            tasks=list(tasks.names),
            limit=tasks.limit,
            batch_size=BATCH_SIZE,
            device="cuda" if torch.cuda.is_available() else "cpu",
            task_manager=_manager(tasks),
            log_samples=False,
            bootstrap_iters=0,
        )
    except Exception as error:  # a task of others may raise anything
        said = " ".join(str(error).split())
        raise InvalidInput("lm_eval", f"{type(error).__name__}: {said}", "see the task's documentation") from error
    return {task: _numbers(values) for task, values in evaluated["results"].items()}


def write_results(folder: Path, step: int, results: Mapping[str, Mapping[str, float]]) -> Path:
    """Keep the results of a step in ``folder/lm-eval``, those of earlier evaluations of the same step replaced."""
    path = folder / "lm-eval" / f"step-{step:08d}.json"
    if path.parent.is_symlink():
        raise InvalidInput("lm_eval", f"{path.parent} is a link", "remove it")
    write_atomically(path, json.dumps({"step": step, "results": results}, indent=2).encode())
    return path


def _manager(tasks: Tasks) -> Any:
    """The index of tasks: that of the folder given where it has all of them, since the package's takes seconds."""
    from lm_eval.tasks import TaskManager

    include = None if tasks.include is None else str(tasks.include)
    if include is not None:
        own = TaskManager(include_path=include, include_defaults=False)
        if all(own.match_tasks([name]) for name in tasks.names):
            return own
    return TaskManager(include_path=include)


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Metrics without the filter's name where it is the plain one; no standard errors, which were not bootstrapped."""
    return {
        name.removesuffix(",none"): float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and "_stderr" not in name
    }
