"""The whole way by the commands: a kept parent, students in rounds, their recipe, its export, a full run resumed."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli import app

NETWORK = {
    "corpus": {"kind": "builtin"},
    "train_tokens": 8192,
    "sequence_length": 64,
    "vocabulary_size": 512,
    "head_dim": 16,
    "batch_tokens": 512,
    "validation_bytes": 10_000,
    "evaluations": 1,
    "precision": "float32",
}


def spec(folder: Path, name: str, **sections: Any) -> Path:
    document = {
        "name": name,
        "space": {"learning_rate": {"type": "categorical", "choices": [0.01]}},
        "max_trial_count": 1,
        **sections,
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    return path


@pytest.mark.chaos
def test_from_a_kept_parent_to_a_full_run(tmp_path: Path) -> None:
    def formulary(*arguments: object) -> str:
        result = CliRunner().invoke(app, ["--home", str(tmp_path / "home"), *map(str, arguments)])
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    formulary("run", spec(tmp_path, "parents", proxy={**NETWORK, "depth": 4, "width": 64, "keep_weights": True}))
    inherit = {"parent": {"kind": "trial", "study": 1}, "mask_steps": 3, "calibration_bytes": 5000}
    students = {**NETWORK, "depth": 2, "width": 32, "rounds": 2, "parts": 2}
    formulary("run", spec(tmp_path, "students", inherit=inherit, proxy=students))
    asked = ("--total-parameters", "30k", "--tokens", "10240")
    assert "weights inherited from study 1, trial 0" in formulary("recipe", 2, *asked)
    folder = tmp_path / "larger"
    assert "from inherited weights" in formulary("export", 2, "--format", "formulary", "--out", folder, *asked)
    first = formulary("pretrain", folder, "--max-steps", 8)
    assert "2 rounds, steps 1 to 14, 15 to 20" in first
    assert "weights inherited from " in first
    assert "going on from step 8" in formulary("pretrain", folder)
    assert json.loads((folder / "inheritance.json").read_text(encoding="utf-8"))["neurons"] == "learned_mask"
    assert (folder / "trained" / "model.safetensors").is_file()
