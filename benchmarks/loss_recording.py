"""A hundredth of a run's training time over what recording its batches' losses takes of it, both of the same steps.

Recording is keeping each step's loss, reading them where a round ends and choosing the next one. On a GPU the device is
waited for before and after, which hides none of it.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from benchmarks import reference
from benchmarks.products import timed
from model.config import ArchitectureConfig
from trainer.config import ProxyConfig, TrainingLength
from trainer.loop import TrainingRun
from trainer.rounds.config import RoundsConfig

GOAL = 0.01
STEPS, WARM_STEPS = 48, 2
SMALL = ArchitectureConfig(vocabulary_size=1024, depth=2, width=64, ffn_width=176, kv_heads=2, sequence_length=128)
"""0.17M parameters in batches of 1024 tokens, whose steps are as short as a proxy's get."""
CASES = ((reference.CPU_1M, 4096), (SMALL, 1024))


def share(config: ProxyConfig, folder: Path) -> float:
    """Recording over training, in CPU time of one thread, or the device's."""
    run = TrainingRun(config, reference.corpus(config.architecture, folder))
    spent = 0.0

    def counting(call: Callable[..., None]) -> Callable[..., None]:
        def counted(*arguments: Any) -> None:
            nonlocal spent
            spent += timed(run.device, lambda: call(*arguments))

        return counted

    assert run.rounds is not None
    with (
        mock.patch.object(run.rounds, "add", counting(run.rounds.add)),
        mock.patch.object(run.rounds, "end", counting(run.rounds.end)),
    ):
        results = run.member_results(STEPS - 1)
        for _ in range(WARM_STEPS):  # the first one compiles where a step is compiled
            next(results)
        spent = 0.0
        whole = timed(run.device, lambda: [next(results) for _ in range(STEPS - 2 - WARM_STEPS)])
    return spent / whole


def config(architecture: ArchitectureConfig, batch_tokens: int) -> ProxyConfig:
    """Three rounds, two of which are chosen."""
    length = TrainingLength(unit="tokens", amount=batch_tokens * STEPS)
    rounds = RoundsConfig(rounds=3, parts=4, forgetting=False)
    return reference.config(architecture, batch_tokens, length=length, multiple_rounds=rounds)


def measure() -> float:
    """The smaller of the cases' ratios."""
    torch.set_num_threads(1)
    found = []
    for architecture, batch_tokens in CASES:
        with tempfile.TemporaryDirectory() as folder:
            found.append(share(config(architecture, batch_tokens), Path(folder)))
        print(f"batches of {batch_tokens}: {100 * found[-1]:.4f} % of training is recording")
    return GOAL / max(found)
