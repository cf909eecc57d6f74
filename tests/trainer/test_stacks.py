import math
from typing import Any

import pytest
import torch

from model.errors import InvalidInput
from trainer.config import InitializationConfig, ProxyConfig
from trainer.errors import TrainingDiverged
from trainer.loop import TrainingRun
from trainer.optim import StackedAdamW
from trainer.results import StepResult
from trainer.stacks import check_stack
from trainer.text.data import PreparedData


def member(config: ProxyConfig, seed: int = 0, std: float | None = None, **optimization: Any) -> ProxyConfig:
    changed = config.optimization.model_copy(update=optimization)
    initialization = InitializationConfig(scheme="gpt2" if std else "constant", std=std)
    return config.model_copy(update={"seed": seed, "optimization": changed, "initialization": initialization})


@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=pytest.mark.chaos)])
def test_each_member_learns_what_it_learns_alone(config: ProxyConfig, data: PreparedData, precision: str) -> None:
    config = config.model_copy(update={"precision": precision, "micro_batch_tokens": 320})
    configs = [
        member(config),
        member(config, seed=7, learning_rate=3e-3),
        member(config, seed=1, std=0.05, weight_decay=0.5),
    ]
    stacked = list(TrainingRun(configs[0], data, configs[1:]).member_results())
    tolerance = 1e-4 if precision == "float32" else 2e-2
    for index, alone in enumerate(configs):
        results = [results[index] for results in stacked]
        wanted = list(TrainingRun(alone, data).results())
        for found, expected in zip(results, wanted, strict=True):
            assert isinstance(found, StepResult)
            assert found.train_loss == pytest.approx(expected.train_loss, rel=tolerance)
            assert (found.step, found.tokens, found.learning_rate) == (
                expected.step,
                expected.tokens,
                expected.learning_rate,
            )
            assert (found.evaluation is None) == (expected.evaluation is None)
        last, alone_last = results[-1], wanted[-1]
        assert isinstance(last, StepResult)
        assert last.finished
        assert last.summary is not None
        assert alone_last.summary is not None
        assert last.summary.metrics["bits_per_byte"] == pytest.approx(
            alone_last.summary.metrics["bits_per_byte"], rel=tolerance
        )
        assert last.summary.metrics["train_bytes"] == alone_last.summary.metrics["train_bytes"]
        assert last.summary.attributes["stack"] == 3


def test_members_of_pangu_pi_under_mup_learn_what_they_learn_alone(config: ProxyConfig, data: PreparedData) -> None:
    options = {"block": "pangu_pi", "qk_norm": True, "mup_base_width": config.architecture.width // 2}
    architecture = config.architecture.model_copy(update=options)
    first = config.model_copy(
        update={"architecture": architecture, "initialization": InitializationConfig(scheme="mup")}
    )
    configs = [first, first.model_copy(update={"seed": 3})]
    configs[1] = configs[1].model_copy(
        update={"optimization": config.optimization.model_copy(update={"learning_rate": 3e-3, "weight_decay": 0.5})}
    )
    stacked = list(TrainingRun(configs[0], data, configs[1:]).member_results(12))
    for index, alone in enumerate(configs):
        wanted = [result.train_loss for result in TrainingRun(alone, data).results(12)]
        found = [results[index] for results in stacked]
        assert [result.train_loss for result in found if isinstance(result, StepResult)] == pytest.approx(
            wanted, rel=1e-4
        )


def test_a_diverging_member_leaves_the_others_alone(config: ProxyConfig, data: PreparedData) -> None:
    healthy = member(config, seed=1)
    run = TrainingRun(config, data, [healthy])
    parameters = run.program.parameters  # type: ignore[attr-defined]
    with torch.no_grad():
        parameters["embedding.weight"][0] = math.nan
    results = list(run.member_results())
    assert isinstance(results[0][0], TrainingDiverged)
    assert all(0 not in later for later in results[1:])
    losses = [found[1].train_loss for found in results if isinstance(found[1], StepResult)]
    assert losses == pytest.approx([result.train_loss for result in TrainingRun(healthy, data).results()], rel=1e-4)


def test_a_stack_ends_when_all_have_diverged(config: ProxyConfig, data: PreparedData) -> None:
    run = TrainingRun(config, data, [member(config, seed=1)])
    parameters = run.program.parameters  # type: ignore[attr-defined]
    with torch.no_grad():
        parameters["norm.gain"][:] = math.nan
    results = list(run.member_results())
    assert len(results) == 1
    assert set(results[0]) == {0, 1}


def test_what_changes_a_shape_or_a_step_is_not_stacked(config: ProxyConfig) -> None:
    check_stack([config, member(config, seed=3, std=0.1, learning_rate=1e-4, weight_decay=0.0)])
    with pytest.raises(InvalidInput, match="members of one stack differ in beta2"):
        check_stack([config, member(config, beta2=0.9)])
    other = config.model_copy(update={"architecture": config.architecture.model_copy(update={"depth": 3})})
    with pytest.raises(InvalidInput, match="differ in architecture"):
        check_stack([config, other])


def test_stacked_adamw_steps_like_the_library(config: ProxyConfig) -> None:
    generator = torch.Generator().manual_seed(0)
    rates, decays = [1e-2, 3e-3], [0.1, 0.4]
    weights = torch.randn(2, 4, 5, generator=generator)
    initial = {"block.weight": weights.clone(), "norm.gain": torch.ones(2, 5)}
    configs = [config.optimization.model_copy(update={"weight_decay": decay}) for decay in decays]
    optimizer = StackedAdamW(initial, configs, config.architecture)
    stacked = optimizer.parameters
    alone = []
    for index in range(2):
        matrix, gain = weights[index].clone().requires_grad_(), torch.ones(5).requires_grad_()
        groups = [{"params": [matrix], "weight_decay": decays[index]}, {"params": [gain], "weight_decay": 0.0}]
        alone.append((matrix, gain, torch.optim.AdamW(groups, lr=rates[index], betas=(0.9, 0.95), eps=1e-8)))
    for _ in range(3):
        for parameter in stacked.values():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        for index, (matrix, gain, _) in enumerate(alone):
            for own, parameter in zip((matrix, gain), stacked.values(), strict=True):
                assert parameter.grad is not None
                own.grad = parameter.grad[index].clone()
            torch.nn.utils.clip_grad_norm_([matrix, gain], 1.0)
        optimizer.step(rates)
        for _, _, single in alone:
            single.step()
    for index, (matrix, gain, _) in enumerate(alone):
        torch.testing.assert_close(stacked["block.weight"][index], matrix)
        torch.testing.assert_close(stacked["norm.gain"][index], gain)
