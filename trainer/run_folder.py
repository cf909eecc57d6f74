"""What a full run's folder says of it: its config, and what was spent on training it so far; no torch."""

import json
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from model.counts import training_flops_per_token
from model.errors import InvalidInput
from model.files import read_capped
from trainer.config import PretrainConfig

MAX_JSON_BYTES = 4 * 2**20
"""Largest ``formulary.json`` that is read (assumed: exports write a few KiB)."""
LATEST = re.compile(rb"step-(\d{8,15})")
"""What ``checkpoints/latest`` holds (``trainer.checkpoints.state``)."""
MAX_LATEST_BYTES = 100


def read_pretrain_config(folder: Path) -> PretrainConfig:
    """Read the key ``pretrain`` of ``folder/formulary.json``, a file that nobody has checked.

    Raises:
        InvalidInput: the file is missing, too large, not JSON of version 1, or not a pretraining config.
    """
    document = _read_json(folder / "formulary.json")
    if not isinstance(document, dict) or document.get("version") != 1:
        raise InvalidInput("formulary.json", "it is not a document of version 1", "export the recipe again")
    try:
        return PretrainConfig.model_validate(document.get("pretrain"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(["pretrain", *map(str, first["loc"])])
        reason = first["msg"].removeprefix("Value error, ")
        raise InvalidInput(field, reason, "correct it in formulary.json, or export the recipe again") from error


def _read_json(path: Path) -> Any:
    content = read_capped(path, MAX_JSON_BYTES, "formulary.json", "give the folder that `formulary export` wrote")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("formulary.json", f"it is not JSON ({error})", "export the recipe again") from error


def run_train_flops(folder: Path) -> float | None:
    """FLOPs of the training that ``formulary pretrain`` did in a folder, up to its latest checkpoint.

    With those of the networks that it started from and learned from. None where they are not known, or it is no run.
    """
    try:
        latest = read_capped(folder / "checkpoints" / "latest", MAX_LATEST_BYTES, "checkpoints", "")
        found = LATEST.fullmatch(latest)
        config = read_pretrain_config(folder)
    except InvalidInput:
        return None
    if found is None:
        return None
    tokens = int(found[1]) * config.optimization.batch_tokens
    parent, teacher = config.inheritance, config.distillation
    earlier = [*([parent.parent_train_flops] if parent else []), *([teacher.teacher_train_flops] if teacher else [])]
    known = [flops for flops in earlier if flops is not None]
    if len(known) < len(earlier):
        return None
    return tokens * training_flops_per_token(config.architecture) + sum(known)
