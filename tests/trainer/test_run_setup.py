"""What a run says about itself: its setup, its speed, the share of its devices' FLOPs, and its curves."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from api.terminal.training import TrainingDisplay, duration
from model.errors import InvalidInput
from trainer.curves import Curves
from trainer.machine.peak import known_peak, peak
from trainer.results import Evaluation, StepResult
from trainer.setup import Meter, RunSetup


def setup(step: int = 0, round_ends: tuple[int, ...] = ()) -> RunSetup:
    return RunSetup(
        step=step,
        steps=10,
        processes=4,
        process_group="nccl",
        device="NVIDIA H100 80GB HBM3",
        precision="bfloat16",
        attention="flash-attn-3",
        compilation="inductor",
        recomputed=True,
        batch_tokens=2**20,
        micro_batch_tokens=2**14,
        flops_per_token=6e9,
        peak_flops_per_second=4 * 989.4e12,
        peak_source="data sheet",
        round_ends=round_ends,
    )


def result(step: int, loss: float, bits: float | None = None, annealed: bool = False) -> StepResult:
    evaluation = None if bits is None else Evaluation(bits, bits)
    return StepResult(step, 10, 100 * step, loss, step, 1e-3, 0.5 * step, evaluation, False, annealed)


def test_a_setup_is_one_sentence() -> None:
    said = setup().sentence()
    assert said == (
        "4 processes (nccl) on NVIDIA H100 80GB HBM3: bfloat16, attention flash-attn-3, compilation inductor, blocks "
        "recomputed, batch 1048576 = 16 × 4 × 16384 tokens at most, peak 3.96e+03 TFLOP/s (data sheet)"
    )


def test_utilisation_is_needed_over_possible_flops() -> None:
    assert setup().utilisation(4 * 989.4e12 / 6e9 * 0.4) == pytest.approx(0.4)


def test_a_meter_tells_the_present_rate() -> None:
    meter = Meter()
    assert [meter.rate(*seen) for seen in ((100, 1.0), (200, 3.0), (200, 3.0), (400, 4.0))] == [100, 50, 50, 200]


def test_steps_belong_to_rounds() -> None:
    assert [setup(round_ends=(4, 7, 10)).round_at(step) for step in (1, 4, 5, 7, 8, 10)] == [1, 1, 2, 2, 3, 3]
    assert setup().round_at(10) == 1


def test_progress_and_curves_name_the_round(tmp_path: Path) -> None:
    in_rounds = setup(round_ends=(4, 10))
    curves = Curves(tmp_path / "tensorboard", in_rounds)
    for step in range(1, 11):
        curves.add(result(step, 2.0))
    curves.close()
    points = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("train/round")
    assert [point.value for point in points] == [1] * 4 + [2] * 6
    console = Console(file=io.StringIO(), width=200)
    display = TrainingDisplay(console, None)
    display.started(replace(in_rounds, lines=("2 rounds, steps 1 to 4, 5 to 10",)))
    assert "2 rounds, steps 1 to 4, 5 to 10" in console.file.getvalue()  # type: ignore[attr-defined]
    assert display._line(result(5, 2.0)).startswith("round 2 of 2, loss 2.000")


@pytest.mark.parametrize(
    ("name", "flops"),
    [
        ("NVIDIA H100 80GB HBM3", 989.4e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H100 NVL", 835.5e12),
        ("NVIDIA H200", 989.4e12),
        ("NVIDIA H20", 148e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A10G", 70e12),
        ("NVIDIA A10", 125e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362.05e12),
        ("Something else", None),
        ("cpu", None),
    ],
)
def test_the_peak_of_a_known_gpu_is_its_makers(name: str, flops: float | None) -> None:
    found = known_peak(name, "bfloat16")
    assert (None if found is None else found.flops_per_second) == flops


def test_the_peak_of_a_cpu_is_measured() -> None:
    found = peak(torch.device("cpu"), "float32")
    assert found.source == "measured"
    assert 1e8 < found.flops_per_second < 1e14


def test_a_resumed_run_continues_the_curves(tmp_path: Path) -> None:
    """The first run is killed at step 6, after a checkpoint of step 4; the second goes on from there."""
    first = Curves(tmp_path / "tensorboard", setup())
    for step in range(1, 7):
        first.add(result(step, 10 - step, bits=float(step)))
    first.flush()
    second = Curves(tmp_path / "tensorboard", setup(step=4))
    for step in range(5, 9):
        second.add(result(step, 20 - step))
    second.add(result(8, 1.0, bits=0.5, annealed=True))
    second.close()
    curves = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    losses = [(point.step, point.value) for point in curves.Scalars("train/loss")]
    assert losses == [*((step, 10.0 - step) for step in range(1, 5)), *((step, 20.0 - step) for step in range(5, 9))]
    assert [point.step for point in curves.Scalars("evaluation/bits_per_byte")] == [1, 2, 3, 4]
    assert [point.value for point in curves.Scalars("annealed/evaluation/bits_per_byte")] == [0.5]
    assert curves.Scalars("speed/tokens_per_second")[-1].value == pytest.approx(200)
    assert curves.Scalars("speed/mfu")[-1].value == pytest.approx(200 * 6e9 / (4 * 989.4e12))
    assert {"train/learning_rate", "evaluation/validation_loss"} <= set(curves.Tags()["scalars"])


def test_curves_are_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tensorboard").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidInput, match="tensorboard is a link"):
        Curves(tmp_path / "tensorboard", setup())


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (7300, "2 h 1 min"), (9e5, "10 d 10 h")]
)
def test_a_time_is_said_in_its_largest_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said
