import os
from pathlib import Path

import pytest
import torch

from model.config import ArchitectureConfig
from trainer import loop
from trainer.config import ProxyConfig
from trainer.loop import TrainingRun
from trainer.machine.compilation import choose_mode, share_compiled_code
from trainer.text.data import PreparedData

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_auto_compiles_on_a_gpu_and_uses_graphs_where_launches_dominate(config: ProxyConfig) -> None:
    assert choose_mode(config, 4096, 1, CPU) == "off"
    assert choose_mode(config.model_copy(update={"compilation": "on"}), 4096, 1, CPU) == "inductor"
    assert choose_mode(config.model_copy(update={"compilation": "off"}), 4096, 1, CUDA) == "off"
    assert choose_mode(config, 2048, 1, CUDA) == "inductor with CUDA graphs"
    large = ArchitectureConfig(vocabulary_size=50_000, depth=12, width=768, ffn_width=2048, head_dim=64)
    assert choose_mode(config.model_copy(update={"architecture": large}), 65_536, 1, CUDA) == "inductor"
    assert choose_mode(config, 2048, 1, CUDA, teacher=large.model_copy(update={"depth": 1})) == "inductor"
    deep = config.architecture.model_copy(update={"depth": 100})
    assert choose_mode(config, 600_000, 1, CUDA) == "inductor"
    assert choose_mode(config, 600_000, 1, CUDA, teacher=deep) == "inductor with CUDA graphs"


@pytest.mark.parametrize("others", [1, pytest.param(0, marks=pytest.mark.chaos)])
def test_a_traced_program_learns_the_same(
    config: ProxyConfig, data: PreparedData, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step traced in one piece and differentiated as torch.compile does, without generating code."""
    monkeypatch.setattr(
        loop, "compiled", lambda function, mode: torch.compile(function, backend="aot_eager", fullgraph=True)
    )
    config = config.model_copy(update={"compilation": "on", "evaluations": 1})
    stack = [config.model_copy(update={"seed": 5})] * others
    run = TrainingRun(config, data, stack)
    found = [results[0] for results in run.member_results(3)]
    monkeypatch.undo()
    expected = list(TrainingRun(config.model_copy(update={"compilation": "off"}), data).results(3))
    for one, other in zip(found, expected, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-4)  # type: ignore[union-attr]
    assert run.execution.compilation == "inductor"
    assert found[-1].summary.attributes["compilation_seconds"] > 0  # type: ignore[union-attr]


def test_compiled_code_is_shared_below_the_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # so that what is set below is undone
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    share_compiled_code(tmp_path)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "compiled")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "mine")
    share_compiled_code(tmp_path)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "mine"
