"""What the caches save: preparing the builtin corpus the first time over every later time."""

import tempfile
import time
from pathlib import Path

from trainer.config import BuiltinCorpus
from trainer.text.data import prepare


def seconds(storage: Path) -> float:
    """Wall seconds of one preparation: corpus, tokenizer of 1024 tokens, shards."""
    start = time.perf_counter()
    prepare(BuiltinCorpus(), 1024, 100_000, storage)
    return time.perf_counter() - start


def measure() -> float:
    """Cold over cached, the cached one the fastest of three."""
    with tempfile.TemporaryDirectory() as folder:
        cold = seconds(Path(folder))
        cached = min(seconds(Path(folder)) for _ in range(3))
    print(f"cold {cold:.2f} s, cached {cached * 1e3:.0f} ms")
    return cold / cached
