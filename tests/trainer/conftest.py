import json
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import torch

from model.config import ArchitectureConfig
from trainer.config import JsonlCorpus, OptimizationConfig, ProxyConfig, TrainingLength
from trainer.text.data import PreparedData, prepare

VOCABULARY_SIZE = 300
VALIDATION_BYTES = 10_000
SEQUENCE_LENGTH = 32
BATCH_TOKENS = 256


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> JsonlCorpus:
    """Some files of the standard library, one a line, and one more line that is not ASCII."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("[a-d]*.py"))
    texts = [path.read_text(encoding="utf-8") for path in files if path.stat().st_size < 30_000]
    path = tmp_path_factory.mktemp("corpus") / "library.jsonl"
    path.write_text(
        "\n".join(json.dumps({"text": text}) for text in [*texts, "smörgåsbord 教材 🎓 " * 200]), encoding="utf-8"
    )
    return JsonlCorpus(kind="jsonl", path=str(path))


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="session")
def data(corpus: JsonlCorpus, storage: Path) -> PreparedData:
    return prepare(corpus, VOCABULARY_SIZE, VALIDATION_BYTES, storage)


def proxy_fields(corpus: JsonlCorpus, steps: int = 12, **changes: Any) -> dict[str, Any]:
    architecture = ArchitectureConfig(
        vocabulary_size=VOCABULARY_SIZE,
        depth=2,
        width=32,
        ffn_width=64,
        head_dim=16,
        kv_heads=2,
        sequence_length=SEQUENCE_LENGTH,
    )
    return {
        "architecture": architecture,
        "optimization": OptimizationConfig(learning_rate=1e-2, batch_tokens=BATCH_TOKENS),
        "corpus": corpus,
        "length": TrainingLength(unit="tokens", amount=steps * BATCH_TOKENS),
        "precision": "float32",
        "evaluations": 2,
        "validation_bytes": VALIDATION_BYTES,
        **changes,
    }


@pytest.fixture
def config(corpus: JsonlCorpus) -> ProxyConfig:
    return ProxyConfig(**proxy_fields(corpus))
