"""A run on processes of Ray: it goes on by itself when one of them is killed, and its curve shows nothing of it."""

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from model.errors import InvalidInput
from search.cluster import connection, quiet_environment, quiet_logs
from trainer.config import JsonlCorpus, ProxyConfig
from trainer.launch import STARTS_IN_VAIN, Processes, _Starts, launch
from trainer.parallel.messages import OtherFailed
from trainer.pretrain import locked, pretrain
from trainer.setup import RunSetup
from trainer.text.data import PreparedData

STEPS = 100
"""Enough to kill a process long before the end."""

CPUS = Processes(2, on_gpus=False)


@pytest.fixture
def folder(tmp_path: Path, data: PreparedData, config: ProxyConfig) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    shutil.copy(data.tokenizer_path, folder / "tokenizer.json")
    length = {"unit": "tokens", "amount": STEPS * config.optimization.batch_tokens}
    fields = {**config.model_dump(mode="json"), "length": length, "checkpoint_every_steps": 4}
    (folder / "formulary.json").write_text(json.dumps({"version": 1, "pretrain": fields, "recipe": []}))
    return folder


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    with quiet_environment(), quiet_logs(), connection(None):
        yield


def kill_a_worker() -> None:
    workers = [
        each for each in psutil.Process().children(recursive=True) if "RayTrainWorker" in " ".join(each.cmdline())
    ]
    assert len(workers) == 2
    workers[1].send_signal(signal.SIGKILL)


@pytest.mark.chaos
def test_a_killed_process_is_started_again_and_the_curve_is_the_same(
    ray: None, folder: Path, storage: Path, corpus: JsonlCorpus, tmp_path: Path
) -> None:
    whole = shutil.copytree(folder, tmp_path / "whole")
    roots = [Path(corpus.path).parent]
    expected = {result.step: result.train_loss for result in pretrain(whole, storage, roots)}
    setups: list[RunSetup] = []
    losses: dict[int, float] = {}
    bits = 0.0
    for result in launch(folder, storage, roots, None, CPUS, setups.append):
        assert losses.setdefault(result.step, result.train_loss) == result.train_loss
        bits = result.evaluation.bits_per_byte if result.evaluation else bits
        if len(setups) == 1 and result.step == 6:
            kill_a_worker()
    assert [setup.processes for setup in setups] == [2, 2]
    assert setups[1].step >= 4
    assert setups[1].step % 4 == 0
    assert losses == pytest.approx(expected, rel=1e-4)
    assert sorted(losses) == list(range(1, STEPS + 1))
    curves = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    points = curves.Scalars("train/loss")
    assert [point.step for point in points] == sorted(losses)
    assert {point.step: point.value for point in points} == pytest.approx(losses)
    assert curves.Scalars("evaluation/bits_per_byte")[-1].value == pytest.approx(bits)
    assert list(launch(folder, storage, roots, None, CPUS)) == []
    assert list((storage / "ray-train").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "field"),
    [(Processes(3, False), "batch_tokens"), (Processes(64, False), "batch_tokens"), (Processes(1, True), "gpus")],
)
def test_what_cannot_run_is_refused_before_a_process_starts(
    ray: None, folder: Path, storage: Path, corpus: JsonlCorpus, processes: Processes, field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        next(launch(folder, storage, [Path(corpus.path).parent], None, processes))
    assert caught.value.field == field


@pytest.mark.slow
def test_a_folder_in_which_another_run_trains_is_refused(
    ray: None, folder: Path, storage: Path, corpus: JsonlCorpus
) -> None:
    with locked(folder), pytest.raises(InvalidInput, match="another process trains"):
        next(launch(folder, storage, [Path(corpus.path).parent], None, CPUS))


def test_starts_in_vain_end_a_run() -> None:
    starts = _Starts(broken="no room")
    for step in (0, 0, 4, *[8] * STARTS_IN_VAIN):
        starts.add(step)
    with pytest.raises(OtherFailed, match=r"lost 5 times in a row before a checkpoint beyond step 8; .* no room"):
        starts.add(8)
