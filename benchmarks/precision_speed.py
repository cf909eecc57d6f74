"""Training tokens per second of a one-million-parameter proxy on one CPU thread: bfloat16 over float32."""

import itertools
import statistics
import tempfile
import time
from pathlib import Path

from model.config import ArchitectureConfig
from trainer.config import OptimizationConfig, Precision, ProxyConfig, TrainingLength
from trainer.loop import TrainingRun
from trainer.text.data import PreparedData, prepare

ARCHITECTURE = ArchitectureConfig(vocabulary_size=1024, depth=4, width=128, ffn_width=344, kv_heads=4)
ROUNDS, STEPS = 5, 4


def config(precision: Precision) -> ProxyConfig:
    """The proxy of about one million parameters."""
    return ProxyConfig(
        architecture=ARCHITECTURE,
        optimization=OptimizationConfig(batch_tokens=4096),
        length=TrainingLength(unit="tokens", amount=4096 * 1000),
        precision=precision,
        evaluations=1,
    )


def seconds(run: TrainingRun, data: PreparedData) -> float:
    """Wall seconds of a few steps of a run that goes on."""
    start = time.perf_counter()
    list(itertools.islice(run.results(), STEPS))
    return time.perf_counter() - start


def measure() -> float:
    """Median over rounds, the two precisions taking turns."""
    with tempfile.TemporaryDirectory() as folder:
        data = prepare(config("auto").corpus, ARCHITECTURE.vocabulary_size, 100_000, Path(folder))
        runs = {precision: TrainingRun(config(precision), data) for precision in ("float32", "bfloat16")}
        for run in runs.values():
            seconds(run, data)
        ratios = [seconds(runs["float32"], data) / seconds(runs["bfloat16"], data) for _ in range(ROUNDS)]
    print(f"float32 seconds / bfloat16 seconds, {ROUNDS} rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    return statistics.median(ratios)
