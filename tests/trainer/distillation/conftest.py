from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from model.config import ArchitectureConfig
from model.hf import write_hf_folder
from model.initialization import initialize
from model.transformer import Transformer
from trainer.text.data import PreparedData

WriteTeacher = Callable[..., Path]


@pytest.fixture(scope="session")
def write_teacher(tmp_path_factory: pytest.TempPathFactory, data: PreparedData) -> WriteTeacher:
    """Writes a network with random weights, of no shape that a student here has."""

    def write(tokenizer: Tokenizer = data.tokenizer, seed: int = 11, **changes: Any) -> Path:
        shape = {"depth": 3, "width": 48, "ffn_width": 80, "head_dim": 8, "kv_heads": 3, "sequence_length": 64}
        size = tokenizer.get_vocab_size()
        architecture = ArchitectureConfig.model_validate({"vocabulary_size": size, **shape, **changes})
        network = Transformer(architecture)
        initialize(network, "constant", 0.2, seed)
        folder = tmp_path_factory.mktemp("teacher") / "hf"
        with torch.no_grad():
            write_hf_folder(network, tokenizer, folder)
        return folder

    return write


@pytest.fixture(scope="session")
def teacher_folder(write_teacher: WriteTeacher) -> Path:
    return write_teacher()
