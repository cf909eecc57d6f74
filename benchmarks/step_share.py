"""Share of a trial's wall time that is training steps, for a trial of about a minute whose corpus is prepared."""

import itertools
import tempfile
import time
from pathlib import Path

from benchmarks import reference
from trainer.config import TrainingLength
from trainer.loop import TrainingRun
from trainer.proxies import train

SECONDS, BATCH_TOKENS = 60.0, 4096


def measure() -> float:
    """Preparation from the cache, first weights, steps and four evaluations; the process itself is there already."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = reference.corpus(reference.CPU_1M, folder)
        config = reference.config(reference.CPU_1M, BATCH_TOKENS, evaluations=4)
        *_, fifth = itertools.islice(TrainingRun(config, data).results(), 5)
        length = TrainingLength(unit="tokens", amount=BATCH_TOKENS * round(SECONDS / (fifth.seconds / 5)))
        start = time.perf_counter()
        *_, last = train(config.model_copy(update={"length": length}), folder)
        wall = time.perf_counter() - start
    print(f"{last.seconds:.1f} s of training steps in a trial of {wall:.1f} s")
    return last.seconds / wall
