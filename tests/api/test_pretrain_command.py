"""``formulary pretrain``: what it asks for, says and leaves behind."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner, Result

from api.cli import app
from trainer.config import PretrainConfig
from trainer.text.data import prepare

Formulary = Callable[..., Result]
STEPS = 6


@pytest.fixture
def formulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Formulary:
    monkeypatch.setenv("FORMULARY_HOME", str(tmp_path / "home"))

    def run(*arguments: object, status: int = 0) -> Result:
        result = CliRunner().invoke(app, ["pretrain", *(str(argument) for argument in arguments)])
        assert result.exit_code == status, (result.output, result.exception)
        return result

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "words.txt").write_text(" ".join(f"word{number % 97} and {number % 13}" for number in range(4000)))
    shape = {"vocabulary_size": 300, "depth": 1, "width": 32, "ffn_width": 64, "head_dim": 16, "sequence_length": 32}
    config = PretrainConfig.model_validate(
        {
            "architecture": shape,
            "optimization": {"batch_tokens": 128},
            "corpus": {"kind": "text", "path": str(folder / "words.txt")},
            "length": {"unit": "tokens", "amount": STEPS * 128},
            "precision": "float32",
            "validation_bytes": 5000,
        }
    )
    data = prepare(config.corpus, 300, 5000, tmp_path / "home" / "storage")
    shutil.copy(data.tokenizer_path, folder / "tokenizer.json")
    (folder / "formulary.json").write_text(json.dumps({"version": 1, "pretrain": config.model_dump(mode="json")}))
    return folder


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--processes", 2, "--gpus", 2], "processes: --processes trains on CPUs, --gpus on GPUs; give one of them"),
        (["--ray-address", "auto"], "ray_address: how much of the cluster to use is not said"),
        (["--lm-eval-limit", 3], "lm_eval: no tasks are named"),
    ],
)
def test_options_that_contradict_are_refused(
    formulary: Formulary, tmp_path: Path, options: list[object], said: str
) -> None:
    result = formulary(tmp_path, *options, status=1)
    assert result.stderr.startswith(f"error: {said}")
    assert len(result.stderr.splitlines()) == 1


def test_a_run_says_how_it_trains_and_leaves_what_transformers_loads(formulary: Formulary, folder: Path) -> None:
    first = formulary(folder, "--max-steps", 2)
    assert "one process on cpu: float32, attention sdpa, compilation off, batch 128 = 1 × 1 × " in first.stderr
    assert not (folder / "trained").exists()
    rest = formulary(folder)
    assert "going on from step 2" in rest.stderr
    assert "bits per byte" in rest.stdout
    assert f"for transformers: {folder / 'trained'}" in rest.stdout
    assert rest.stdout.splitlines()[-1] == f"checkpoint: {folder / 'checkpoints' / 'step-00000006'}"
    network = AutoModelForCausalLM.from_pretrained(folder / "trained")
    assert network.config.num_hidden_layers == 1
    assert {path.name.split(".")[0] for path in (folder / "tensorboard").iterdir()} == {"run"}
    shutil.rmtree(folder / "trained")  # as if the command had died before it was written
    assert "the run is already at step 6" in formulary(folder).stderr
    assert (folder / "trained" / "model.safetensors").is_file()
