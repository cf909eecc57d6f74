"""The networks that the speed of training is measured on, by their size."""

import itertools
from pathlib import Path

import torch

from benchmarks.products import timed
from model.config import ArchitectureConfig
from trainer.config import OptimizationConfig, ProxyConfig, TrainingLength
from trainer.loop import TrainingRun
from trainer.text.data import PreparedData, prepare

SEQUENCE_LENGTH = 1024
GPU_BATCH_TOKENS = 65_536

CPU_1M = ArchitectureConfig(vocabulary_size=1024, depth=4, width=128, ffn_width=344, kv_heads=4)
"""0.92M parameters, the reference of a study on a CPU."""


def gpu_architecture(depth: int, width: int) -> ArchitectureConfig:
    """A network with heads of 64 channels and the FFN ratio of the paper's released config."""
    ffn_width = round(8 / 3 * width / 64) * 64
    return ArchitectureConfig(
        vocabulary_size=8192,
        depth=depth,
        width=width,
        ffn_width=ffn_width,
        head_dim=64,
        sequence_length=SEQUENCE_LENGTH,
    )


GPU_10M, GPU_30M = gpu_architecture(7, 320), gpu_architecture(8, 512)
GPU_124M, GPU_300M = gpu_architecture(16, 768), gpu_architecture(22, 1024)


def config(architecture: ArchitectureConfig, batch_tokens: int, **changes: object) -> ProxyConfig:
    """A run that is long enough to be measured and evaluates nothing on the way."""
    return ProxyConfig(
        architecture=architecture,
        optimization=OptimizationConfig(batch_tokens=batch_tokens),
        length=TrainingLength(unit="tokens", amount=batch_tokens * 100_000),
        evaluations=1,
        micro_batch_tokens=GPU_BATCH_TOKENS,
    ).model_copy(update=changes)


def corpus(architecture: ArchitectureConfig, folder: Path) -> PreparedData:
    """The builtin corpus in this network's vocabulary."""
    proxy = config(architecture, architecture.sequence_length)
    return prepare(proxy.corpus, architecture.vocabulary_size, proxy.validation_bytes, folder)


class Stepper:
    """A run that is asked for a few more steps at a time, and for their seconds."""

    def __init__(self, run: TrainingRun, warm_up_steps: int = 3) -> None:
        self.run = run
        self._results = run.member_results()
        self.seconds(warm_up_steps)

    def seconds(self, steps: int) -> float:
        """Seconds of the next ``steps`` steps, as ``benchmarks.products.timed`` counts them."""
        return timed(self.run.device, lambda: list(itertools.islice(self._results, steps)))


def device() -> torch.device:
    """Where a run would train."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
