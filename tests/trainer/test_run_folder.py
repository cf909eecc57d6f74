"""What is known of a full run's cost from its folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from model.counts import training_flops_per_token
from trainer.config import ProxyConfig
from trainer.run_folder import run_train_flops


@pytest.fixture
def folder(tmp_path: Path, config: ProxyConfig) -> Any:
    def write(latest: str = "step-00000040", **fields: Any) -> Path:
        document = {"version": 1, "pretrain": {**config.model_dump(mode="json"), **fields}}
        (tmp_path / "formulary.json").write_text(json.dumps(document))
        (tmp_path / "checkpoints").mkdir(exist_ok=True)
        (tmp_path / "checkpoints" / "latest").write_text(latest)
        return tmp_path

    return write


def test_it_is_the_training_up_to_the_latest_checkpoint(folder: Any, config: ProxyConfig) -> None:
    own = 40 * config.optimization.batch_tokens * training_flops_per_token(config.architecture)
    assert run_train_flops(folder()) == own
    inherited = {"parent": "/parent", "parent_train_flops": 1e9}
    assert run_train_flops(folder(inheritance=inherited)) == own + 1e9
    taught = {"teacher": "/teacher", "teacher_train_flops": 2e9}
    assert run_train_flops(folder(inheritance=inherited, distillation=taught)) == own + 3e9


def test_what_is_not_known_is_not_counted_as_nothing(folder: Any, tmp_path: Path) -> None:
    assert run_train_flops(tmp_path) is None
    assert run_train_flops(folder(inheritance={"parent": "/parent"})) is None
    assert run_train_flops(folder(distillation={"teacher": "/teacher"})) is None
    for latest in ("../../step-00000040", "step-4", "step-" + "9" * 90, ""):
        assert run_train_flops(folder(latest=latest)) is None
