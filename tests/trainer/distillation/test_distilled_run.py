"""A student's run from its first step to what it says of itself."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from model.counts import forward_flops_per_token, training_flops_per_token
from model.errors import InvalidInput
from model.hf import from_transformers
from trainer import loop
from trainer.config import ProxyConfig
from trainer.distillation.config import DistillationConfig
from trainer.loop import TrainingRun
from trainer.optim import set_learning_rate
from trainer.plan import learning_rate
from trainer.program import initial_network
from trainer.results import StepResult
from trainer.text.data import PreparedData


def distilled(config: ProxyConfig, folder: Path, changes: dict[str, Any] | None = None, **told: Any) -> ProxyConfig:
    distillation = DistillationConfig(teacher=str(folder), **told)
    return config.model_copy(update={"distillation": distillation, **(changes or {})})


def by_definition(config: ProxyConfig, data: PreparedData, folder: Path, steps: int) -> list[tuple[float, float]]:
    """Cross-entropy and KL of each step of a plain loop by autograd, over whole batches."""
    told = config.distillation
    assert told is not None
    student, teacher = initial_network(config, "sdpa"), from_transformers(folder)
    run = TrainingRun(config.model_copy(update={"distillation": None}), data)
    optimizer = run.single.optimizer
    for group, ours in zip(optimizer.param_groups, _groups(optimizer, run.single.network, student), strict=True):
        group["params"] = ours
    read = []
    for step in range(1, steps + 1):
        tokens = torch.from_numpy(run.members[0].batches.batch(step))
        logits = student(tokens[:, :-1])
        with torch.no_grad():
            towards = (teacher(tokens[:, :-1]) / told.temperature).softmax(-1)
        nats = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        log_q = (logits / told.temperature).log_softmax(-1)
        kl = F.kl_div(log_q, towards, reduction="none").sum(-1).mean()
        ((1 - told.weight) * nats + told.weight * told.temperature**2 * kl).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(student.parameters(), config.optimization.gradient_clip)
        set_learning_rate(optimizer, learning_rate(config.optimization, run.plan, step))
        optimizer.step()
        optimizer.zero_grad()
        read.append((nats.item(), kl.item()))
    return read


def _groups(
    optimizer: torch.optim.Optimizer, network: torch.nn.Module, student: torch.nn.Module
) -> list[list[torch.nn.Parameter]]:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    ours = dict(student.named_parameters())
    return [[ours[names[id(parameter)]] for parameter in group["params"]] for group in optimizer.param_groups]


@pytest.mark.parametrize("told", [{"weight": 0.3, "temperature": 3.0}, {"weight": 1.0, "temperature": 1.0}])
def test_a_run_is_that_of_a_plain_loop(
    config: ProxyConfig, data: PreparedData, teacher_folder: Path, told: dict[str, float]
) -> None:
    config = distilled(config, teacher_folder, {"micro_batch_tokens": 64}, **told)
    results = list(TrainingRun(config, data).results(6))
    expected = by_definition(config, data, teacher_folder, 6)
    assert [result.train_loss for result in results] == pytest.approx([nats for nats, _ in expected], rel=1e-4)
    assert [result.kl for result in results] == pytest.approx([kl for _, kl in expected], rel=1e-4)


def test_what_it_says_of_itself(config: ProxyConfig, data: PreparedData, teacher_folder: Path) -> None:
    last = list(TrainingRun(distilled(config, teacher_folder), data).results())[-1]
    plain = list(TrainingRun(config, data).results())[-1]
    assert last.summary is not None
    assert plain.summary is not None
    attributes, tokens = last.summary.attributes, last.tokens
    theirs = from_transformers(teacher_folder).config.model_copy(update={"sequence_length": 32})
    own = training_flops_per_token(config.architecture)
    assert last.summary.metrics["train_flops"] == plain.summary.metrics["train_flops"] == tokens * own
    assert attributes["spent_flops"] == tokens * (own + forward_flops_per_token(theirs))
    assert attributes["kl"] == last.kl
    assert set(attributes) - set(plain.summary.attributes) == {
        "teacher_fingerprint",
        "teacher_parameters",
        "distillation_weight",
        "distillation_temperature",
        "kl",
    }
    assert plain.kl is None


def test_a_stack_learns_from_one_teacher(config: ProxyConfig, data: PreparedData, teacher_folder: Path) -> None:
    configs = [distilled(config, teacher_folder, {"seed": seed}) for seed in (0, 7)]
    stacked = list(TrainingRun(configs[0], data, configs[1:]).member_results(4))
    for index, alone in enumerate(configs):
        for found, expected in zip(stacked, TrainingRun(alone, data).results(4), strict=True):
            result = found[index]
            assert isinstance(result, StepResult)
            assert result.train_loss == pytest.approx(expected.train_loss, rel=1e-4)
            assert result.kl == pytest.approx(expected.kl, rel=1e-4)


def test_members_of_a_stack_have_the_same_teacher(
    config: ProxyConfig, data: PreparedData, teacher_folder: Path
) -> None:
    with pytest.raises(InvalidInput, match="differ in distillation"):
        TrainingRun(distilled(config, teacher_folder), data, [config.model_copy(update={"seed": 1})])


def test_an_annealed_evaluation_leaves_the_readings_of_the_trunk(
    config: ProxyConfig, data: PreparedData, teacher_folder: Path
) -> None:
    wsd = config.optimization.model_copy(update={"schedule": "wsd"})
    plain = distilled(config, teacher_folder, {"optimization": wsd})
    forked = plain.model_copy(update={"annealed_evaluations": True})
    trunk = [result for result in TrainingRun(forked, data).results() if not result.annealed]
    assert [result.kl for result in trunk] == [result.kl for result in TrainingRun(plain, data).results()]


def test_bfloat16_nearly_gives_the_same(config: ProxyConfig, data: PreparedData, teacher_folder: Path) -> None:
    exact = list(TrainingRun(distilled(config, teacher_folder), data).results(6))
    cast = list(TrainingRun(distilled(config, teacher_folder, {"precision": "bfloat16"}), data).results(6))
    assert [result.train_loss for result in cast] == pytest.approx([r.train_loss for r in exact], rel=2e-2)
    assert [result.kl for result in cast] == pytest.approx([result.kl for result in exact], rel=5e-2)


@pytest.mark.chaos
def test_the_traced_step_learns_the_same(
    config: ProxyConfig, data: PreparedData, teacher_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Student and teacher traced in one piece and differentiated as torch.compile does, without generating code."""
    monkeypatch.setattr(
        loop, "compiled", lambda function, mode: torch.compile(function, backend="aot_eager", fullgraph=True)
    )
    config = distilled(config, teacher_folder, {"compilation": "on", "evaluations": 1})
    found = list(TrainingRun(config, data).results(2))
    monkeypatch.undo()
    expected = list(TrainingRun(config.model_copy(update={"compilation": "off"}), data).results(2))
    for one, other in zip(found, expected, strict=True):
        assert (one.train_loss, one.kl) == pytest.approx((other.train_loss, other.kl), rel=1e-4)


def test_it_learns_from_its_teacher(config: ProxyConfig, data: PreparedData, teacher_folder: Path) -> None:
    """The KL falls, though this teacher knows nothing of the text and the student sees it beside its tokens."""
    results = list(TrainingRun(distilled(config, teacher_folder, weight=1.0), data).results())
    kl = np.array([result.kl for result in results])
    assert all(map(math.isfinite, kl))
    assert kl[-1] < 0.9 * kl[0]
