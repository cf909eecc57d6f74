"""A full run on GPUs: the paths that a CPU does not take. They are skipped where there is none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from search.cluster import connection, quiet_environment, quiet_logs
from trainer.config import JsonlCorpus, ProxyConfig
from trainer.launch import Processes, launch
from trainer.pretrain import pretrain
from trainer.setup import RunSetup
from trainer.text.data import PreparedData

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.fixture
def export(tmp_path: Path, data: PreparedData, config: ProxyConfig) -> Callable[[str], Path]:
    def write(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(data.tokenizer_path, folder / "tokenizer.json")
        fields = {**config.model_dump(mode="json"), "precision": "bfloat16", "checkpoint_every_steps": 4}
        (folder / "formulary.json").write_text(json.dumps({"version": 1, "pretrain": fields, "recipe": []}))
        return folder

    return write


def test_a_resumed_run_on_a_gpu_ends_as_one_never_stopped(
    export: Callable[[str], Path], storage: Path, corpus: JsonlCorpus
) -> None:
    """Copies on pinned memory, compiled steps, losses read from time to time: the curve is the same."""
    roots, setups = [Path(corpus.path).parent], list[RunSetup]()
    whole = list(pretrain(export("whole"), storage, roots, on_start=setups.append))
    other = export("other")
    list(pretrain(other, storage, roots, 6))
    rest = list(pretrain(other, storage, roots))
    assert rest[-1].evaluation == whole[-1].evaluation
    assert setups[0].device == torch.cuda.get_device_name()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.slow
def test_two_gpus_give_the_evaluations_of_one(
    export: Callable[[str], Path], storage: Path, corpus: JsonlCorpus
) -> None:
    roots = [Path(corpus.path).parent]
    one = [result.evaluation for result in pretrain(export("one"), storage, roots) if result.evaluation]
    with quiet_environment(), quiet_logs(), connection(None):
        results = launch(export("two"), storage, roots, None, Processes(2, on_gpus=True))
        two = [result.evaluation for result in results if result.evaluation]
    assert [each.bits_per_byte for each in two] == pytest.approx([each.bits_per_byte for each in one], rel=5e-3)
