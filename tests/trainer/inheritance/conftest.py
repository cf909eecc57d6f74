from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model.hf import write_hf_folder
from model.transformer import Transformer
from tests.trainer.inheritance.networks import SEQUENCE_LENGTH, shape
from trainer.config import JsonlCorpus, OptimizationConfig, ProxyConfig, TrainingLength
from trainer.inheritance.config import InheritanceConfig
from trainer.loop import TrainingRun
from trainer.text.data import PreparedData

STEP_TOKENS = 8 * SEQUENCE_LENGTH
Student = Callable[..., ProxyConfig]


@pytest.fixture(scope="session")
def parent_network(corpus: JsonlCorpus, data: PreparedData) -> Transformer:
    """Trained for some steps, so that its units differ in worth."""
    run = TrainingRun(_proxy(corpus, architecture=shape(), steps=60, seed=3), data)
    list(run.results())
    return run.single.network.requires_grad_(False)


@pytest.fixture(scope="session")
def parent_folder(parent_network: Transformer, data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parents") / "parent"
    write_hf_folder(parent_network, data.tokenizer, folder)
    return folder


@pytest.fixture
def student(corpus: JsonlCorpus, parent_folder: Path) -> Student:
    """Configs of students of that parent: two layers and two thirds of the rest, unless told otherwise."""

    def config(
        steps: int = 2, seed: int = 0, architecture: dict[str, Any] | None = None, **changes: Any
    ) -> ProxyConfig:
        own = shape(**{"depth": 2, "width": 32, "ffn_width": 40, "kv_heads": 2, **(architecture or {})})
        settings = {"parent": str(parent_folder), "calibration_bytes": 4000, "mask_steps": 3, **changes}
        return _proxy(corpus, own, steps, seed, inheritance=InheritanceConfig(**settings))

    return config


def _proxy(corpus: JsonlCorpus, architecture: Any, steps: int, seed: int, **fields: Any) -> ProxyConfig:
    return ProxyConfig(
        architecture=architecture,
        optimization=OptimizationConfig(learning_rate=1e-2, batch_tokens=STEP_TOKENS),
        corpus=corpus,
        length=TrainingLength(unit="tokens", amount=steps * STEP_TOKENS),
        precision="float32",
        evaluations=1,
        validation_bytes=10_000,
        seed=seed,
        **fields,
    )
