"""Time to the first step with an empty cache of compiled code over that with a full one, in processes of their own."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import reference
from trainer.loop import TrainingRun

ARGUMENT = "first-step"


def measure() -> float | None:
    """On a GPU only: a CPU does not compile unless asked to."""
    if reference.device().type != "cuda":
        return None
    with tempfile.TemporaryDirectory() as folder:
        reference.corpus(reference.GPU_10M, Path(folder))
        cold, warm = (_in_a_process(folder) for _ in range(2))
    print(f"seconds to the first step: {cold:.1f} with an empty cache, {warm:.1f} with a full one")
    return cold / warm


def _in_a_process(folder: str) -> float:
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(Path(folder) / "compiled")}
    command = [sys.executable, "-m", "benchmarks.compilation", ARGUMENT, folder]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def first_step(folder: str) -> float:
    """Seconds from the config to the end of the first step."""
    data = reference.corpus(reference.GPU_10M, Path(folder))
    start = time.perf_counter()
    reference.Stepper(TrainingRun(reference.config(reference.GPU_10M, reference.GPU_BATCH_TOKENS), data), 1)
    return time.perf_counter() - start


if __name__ == "__main__" and sys.argv[1:2] == [ARGUMENT]:
    print(first_step(sys.argv[2]))
