"""The predicted peak of a run with a teacher against what a fresh process takes."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model.config import ArchitectureConfig
from trainer.config import JsonlCorpus, ProxyConfig
from trainer.machine.memory_estimate import estimate_memory

PROGRAM = """
import json, sys
from pathlib import Path
import model.hf
from trainer.config import ProxyConfig
from trainer.loop import TrainingRun
from trainer.text.data import prepare

def resident(name):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(name))

config = ProxyConfig.model_validate_json(sys.argv[1])
data = prepare(config.corpus, config.architecture.vocabulary_size, config.validation_bytes, Path(sys.argv[2]))
before = resident("VmRSS")
run = TrainingRun(config, data)
list(run.results(2))
print(json.dumps([run.peak_memory.bytes() - before, run.execution.memory_estimate.total]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.chaos
@pytest.mark.parametrize(("precision", "rows"), [("float32", 300), ("bfloat16", 300), ("float32", 60_000)])
def test_the_predicted_peak_is_that_of_a_fresh_process(
    precision: str, rows: int, corpus: JsonlCorpus, storage: Path, write_teacher: Callable[..., Path]
) -> None:
    shape = {"vocabulary_size": 300, "depth": 4, "width": 128, "ffn_width": 344, "head_dim": 32}
    large = {"depth": 6, "width": 512, "ffn_width": 1376, "head_dim": 32, "kv_heads": 16, "sequence_length": 256}
    teacher = write_teacher(vocabulary_size=rows, **large)
    document: dict[str, Any] = {
        "architecture": shape,
        "corpus": corpus.model_dump(),
        "validation_bytes": 10_000,
        "length": {"unit": "tokens", "amount": 40_960},
        "precision": precision,
        "distillation": {"teacher": str(teacher)},
    }
    config = ProxyConfig.model_validate(document)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, config.model_dump_json(), str(storage)],
        capture_output=True,
        text=True,
        check=True,
    )
    measured, predicted = json.loads(done.stdout)
    assert 0.9 * measured <= predicted <= 1.4 * measured


def test_every_process_has_the_whole_teacher(config: ProxyConfig) -> None:
    student = config.architecture
    teacher = ArchitectureConfig.model_validate({**student.model_dump(), "width": 256, "kv_heads": 16, "depth": 6})
    alone, taught, shared = (
        estimate_memory(config, 256, "sdpa", "bfloat16", "cuda", processes=processes, teacher=network)
        for processes, network in ((1, None), (1, teacher), (8, teacher))
    )
    assert taught.teacher == shared.teacher > alone.teacher == 0
    assert taught.total > alone.total + taught.teacher
    assert "teacher" in str(taught)
    assert "teacher" not in str(alone)


def test_a_teacher_is_read_with_all_of_its_rows_and_keeps_the_students(config: ProxyConfig) -> None:
    student = config.architecture
    large, small = (
        ArchitectureConfig.model_validate(
            {**student.model_dump(), "width": 256, "kv_heads": 16, "vocabulary_size": size}
        )
        for size in (150_000, student.vocabulary_size)
    )
    for precision in ("float32", "bfloat16"):
        many, few = (estimate_memory(config, 256, "sdpa", precision, "cpu", teacher=one) for one in (large, small))
        assert many.teacher == few.teacher
        rows = 4 * 256 * (150_000 - student.vocabulary_size) * (1 if large.tied_head else 2)
        assert many.total > rows > few.total
    on_gpu = [estimate_memory(config, 256, "sdpa", "bfloat16", "cuda", teacher=one).total for one in (large, small)]
    assert on_gpu[0] == on_gpu[1]  # it is read into the host's memory
