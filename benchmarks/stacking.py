"""16 networks of 10M parameters at 2048 tokens a step: one after the other, over as one program."""

import tempfile
from pathlib import Path

from benchmarks import reference
from trainer.config import Compilation
from trainer.loop import TrainingRun
from trainer.text.data import PreparedData

MEMBERS, BATCH_TOKENS, STEPS = 16, 2048, 20


def measure_against_eager() -> float | None:
    """Against runs that are not compiled."""
    return _ratio("off")


def measure_against_graphs() -> float | None:
    """Against compiled runs with CUDA graphs."""
    return _ratio("on")


def _ratio(alone: Compilation) -> float | None:
    if reference.device().type != "cuda":
        return None
    with tempfile.TemporaryDirectory() as folder:
        data = reference.corpus(reference.GPU_10M, Path(folder))
        stack, stack_losses = _seconds(data, "on", MEMBERS)
        one, losses = _seconds(data, alone, 1)
    print(f"step of one network {one * 1e3:.2f} ms ({alone}), of {MEMBERS} stacked {stack * 1e3:.2f} ms")
    print(f"loss of the first network after {STEPS + 3} steps: {losses[0]:.5f} alone, {stack_losses[0]:.5f} stacked")
    return MEMBERS * one / stack


def _seconds(data: PreparedData, compilation: Compilation, members: int) -> tuple[float, list[float]]:
    configs = [
        reference.config(reference.GPU_10M, BATCH_TOKENS, seed=seed, compilation=compilation) for seed in range(members)
    ]
    stepper = reference.Stepper(TrainingRun(configs[0], data, configs[1:]))
    seconds = stepper.seconds(STEPS) / STEPS
    return seconds, [member.train_loss for member in stepper.run.members]
