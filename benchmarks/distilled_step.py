"""What a teacher costs: a distilled step over a plain one, against what their FLOPs say."""

import itertools
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.precision_speed import ARCHITECTURE, config
from model.config import ArchitectureConfig
from model.counts import forward_flops_per_token, training_flops_per_token
from model.hf import write_hf_folder
from model.initialization import initialize
from model.transformer import Transformer
from trainer.distillation.config import DistillationConfig
from trainer.loop import TrainingRun
from trainer.text.data import prepare

TEACHER = ArchitectureConfig(vocabulary_size=1024, depth=6, width=192, ffn_width=512)
"""Of 2.9 million parameters, three times the student's."""
ROUNDS, STEPS = 5, 3


def seconds(run: TrainingRun) -> float:
    """CPU seconds of a few steps of a run that goes on; the machine may be busy."""
    start = time.process_time()
    list(itertools.islice(run.results(), STEPS))
    return time.process_time() - start


def measure() -> float:
    """FLOPs of a distilled step over those of a plain one, over the ratio of their times; median over rounds."""
    plain = config("bfloat16")
    with tempfile.TemporaryDirectory() as folder:
        data = prepare(plain.corpus, ARCHITECTURE.vocabulary_size, 100_000, Path(folder))
        network = Transformer(TEACHER)
        initialize(network, "constant", TEACHER.width**-0.5, 0)
        write_hf_folder(network, data.tokenizer, Path(folder) / "teacher")
        told = DistillationConfig(teacher=str(Path(folder) / "teacher"))
        runs = [TrainingRun(plain.model_copy(update={"distillation": each}), data) for each in (None, told)]
        for run in runs:
            seconds(run)
        measured = [seconds(runs[1]) / seconds(runs[0]) for _ in range(ROUNDS)]
    expected = 1 + forward_flops_per_token(TEACHER) / training_flops_per_token(ARCHITECTURE)
    print(
        f"distilled / plain step: FLOPs {expected:.2f}, CPU seconds {', '.join(f'{ratio:.2f}' for ratio in measured)}"
    )
    return expected / statistics.median(measured)
