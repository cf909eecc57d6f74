"""Decoding speed at the end of a run."""

from typing import Any

import pytest
import torch

from model.config import ArchitectureConfig
from model.transformer import Transformer
from trainer import decoding
from trainer.config import ProxyConfig
from trainer.decoding import REPETITIONS, SEQUENCES, measure_decoding
from trainer.loop import TrainingRun
from trainer.results import StepResult
from trainer.text.data import PreparedData

SHAPE: dict[str, Any] = {"vocabulary_size": 64, "depth": 1, "width": 16, "ffn_width": 16, "head_dim": 8}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """Sequences, prompt and new tokens of every decoding."""
    seen: list[tuple[int, int, int]] = []
    greedy = decoding.greedy

    def watched(network: Transformer, prompt_bs: torch.Tensor, new_tokens: int) -> torch.Tensor:
        seen.append((*prompt_bs.shape, new_tokens))
        return greedy(network, prompt_bs, new_tokens)

    monkeypatch.setattr(decoding, "greedy", watched)
    return seen


@pytest.mark.parametrize(
    ("sequence_length", "prompt", "new"), [(2, 1, 1), (3, 2, 1), (20, 2, 18), (256, 2, decoding.NEW_TOKENS)]
)
def test_the_protocol_fits_the_sequence(
    asked: list[tuple[int, int, int]], sequence_length: int, prompt: int, new: int
) -> None:
    network = Transformer(ArchitectureConfig(**SHAPE, sequence_length=sequence_length))
    speed = measure_decoding(network, "float32", training_seconds=1e9)
    assert asked[1:] == [(SEQUENCES, prompt, new)] * REPETITIONS
    assert speed.seconds > 0
    assert REPETITIONS * SEQUENCES * new / speed.seconds < 3 * speed.tokens_per_second


def test_a_short_run_is_measured_once(asked: list[tuple[int, int, int]]) -> None:
    measure_decoding(Transformer(ArchitectureConfig(**SHAPE)), "float32", training_seconds=0.0)
    assert len(asked) == 2, "the warm-up and one repetition"


def test_a_stack_is_measured_as_its_first_network(config: ProxyConfig, data: PreparedData) -> None:
    run = TrainingRun(config, data, [config.model_copy(update={"seed": 1})])
    *_, last = run.member_results()
    results = [result for result in last.values() if isinstance(result, StepResult)]
    metrics = [result.summary.metrics for result in results if result.summary is not None]
    assert len(metrics) == 2
    assert metrics[0]["decode_tokens_per_second"] == metrics[1]["decode_tokens_per_second"] > 0
    single = TrainingRun(config, data)
    list(single.results())
    tokens = torch.from_numpy(single.members[0].batches.batch(1))[:, :-1]
    alone, copied = (program.network_of(0)(tokens) for program in (single.program, run.program))
    torch.testing.assert_close(alone, copied, atol=1e-3, rtol=1e-3)
