"""Model FLOP/s over the FLOP/s of matrix products alone, both measured in one run.

On a GPU the products are dense square ones in bfloat16. On a CPU they are those of the step, in its precision, in
each of two processes of one thread, as two trials run side by side.
"""

import multiprocessing
import statistics
import tempfile
from pathlib import Path

import torch

from benchmarks import reference
from benchmarks.products import all_of, dense_flops_per_second, step_products, timed
from model.config import ArchitectureConfig
from model.counts import count_parameters, training_flops_per_token
from trainer.loop import TrainingRun

CPU_BATCH_TOKENS, PROCESSES = 4096, 2
ROUNDS, STEPS = 5, 5
DENSE_SIZE = 8192


def share_of_a_process(folder: str) -> float:
    """Time of a step's products by themselves over the time of a step, on one thread."""
    torch.set_num_threads(1)
    run = TrainingRun(
        reference.config(reference.CPU_1M, CPU_BATCH_TOKENS), reference.corpus(reference.CPU_1M, Path(folder))
    )
    stepper = reference.Stepper(run)
    dtype = torch.bfloat16 if run.execution.precision == "bfloat16" else torch.float32
    products = all_of(step_products(reference.CPU_1M, CPU_BATCH_TOKENS, dtype))
    products()
    return statistics.median(timed(run.device, products) / (stepper.seconds(STEPS) / STEPS) for _ in range(ROUNDS))


def measure_cpu() -> float:
    """Mean over two processes that train at the same time."""
    with tempfile.TemporaryDirectory() as folder:
        reference.corpus(reference.CPU_1M, Path(folder))
        with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
            shares = pool.map(share_of_a_process, [folder] * PROCESSES)
    print(f"matrix products / step at 0.92M parameters, {PROCESSES} processes: {', '.join(f'{s:.2f}' for s in shares)}")
    return statistics.mean(shares)


def measure_10m() -> float | None:
    """At 10M parameters."""
    return _on_gpu(reference.GPU_10M)


def measure_30m() -> float | None:
    """At 30M parameters."""
    return _on_gpu(reference.GPU_30M)


def measure_124m() -> float | None:
    """At 124M parameters."""
    return _on_gpu(reference.GPU_124M)


def measure_300m() -> float | None:
    """At 300M parameters."""
    return _on_gpu(reference.GPU_300M)


def _on_gpu(architecture: ArchitectureConfig) -> float | None:
    device = reference.device()
    if device.type != "cuda":
        return None
    with tempfile.TemporaryDirectory() as folder:
        data = reference.corpus(architecture, Path(folder))
        stepper = reference.Stepper(TrainingRun(reference.config(architecture, reference.GPU_BATCH_TOKENS), data))
        flops = STEPS * reference.GPU_BATCH_TOKENS * training_flops_per_token(architecture)
        shares = [flops / stepper.seconds(STEPS) / dense_flops_per_second(DENSE_SIZE, device) for _ in range(ROUNDS)]
    execution = stepper.run.execution
    parameters = count_parameters(architecture).total
    print(f"{parameters:,} parameters, {execution.backend}, {execution.compilation}: {shares}")
    return statistics.median(shares)
