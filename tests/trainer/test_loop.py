import json
import math
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from model.config import ArchitectureConfig
from model.counts import (
    count_parameters,
    decoding_bytes,
    embedding_share,
    size_conventions,
    training_flops_per_token,
)
from model.errors import InvalidInput
from trainer import loop
from trainer.config import InitializationConfig, OptimizationConfig, ProxyConfig, TrainingLength
from trainer.errors import TrainingDiverged
from trainer.loop import TrainingRun
from trainer.machine.precision import bfloat16_speedup, resolve_precision
from trainer.machine.software import code_revision
from trainer.optim import make_optimizer
from trainer.proxies import train
from trainer.results import StepResult, Value
from trainer.text.data import PreparedData

STANDARD_METRICS = {
    "bits_per_byte",
    "validation_loss",
    "train_tokens_per_second",
    "decode_tokens_per_second",
    "total_parameters",
    "non_embedding_parameters",
    "embedding_share",
    "decode_memory",
    "train_tokens",
    "train_bytes",
    "train_flops",
}


def change(config: ProxyConfig, **changes: Any) -> ProxyConfig:
    return config.model_copy(update=changes)


def optimize(config: ProxyConfig, **changes: Any) -> ProxyConfig:
    return change(config, optimization=config.optimization.model_copy(update=changes))


def losses(results: list[StepResult]) -> list[float]:
    return [result.train_loss for result in results]


def test_a_run_learns_and_reports(config: ProxyConfig, storage: Path) -> None:
    config = change(config, length=TrainingLength(unit="tokens", amount=60 * 256))
    results = list(train(config, storage))
    assert [result.step for result in results] == list(range(1, 61))
    assert [result.step for result in results if result.evaluation] == [30, 60]
    assert math.log(300) - 0.1 < losses(results)[0] < math.log(300) + 0.7  # unit logits add half a nat
    assert losses(results)[-1] < losses(results)[0] - 0.8
    last = results[-1]
    assert last.finished
    assert not any(result.finished or result.summary for result in results[:-1])
    assert last.summary is not None
    assert last.evaluation is not None
    metrics, attributes = last.summary.metrics, last.summary.attributes
    assert set(metrics) == STANDARD_METRICS
    counts = count_parameters(config.architecture)
    assert metrics["total_parameters"] == counts.total
    assert metrics["non_embedding_parameters"] == counts.non_embedding
    assert metrics["embedding_share"] == embedding_share(config.architecture)
    assert metrics["decode_memory"] == decoding_bytes(config.architecture, config.architecture.sequence_length)
    assert metrics["train_tokens"] == last.tokens == 60 * 256
    assert metrics["train_flops"] == 60 * 256 * training_flops_per_token(config.architecture)
    assert metrics["train_bytes"] == pytest.approx(60 * 256 * float(attributes["bytes_per_token"]), rel=0.05)
    assert metrics["train_tokens_per_second"] == pytest.approx(60 * 256 / last.seconds)
    assert metrics["bits_per_byte"] == last.evaluation.bits_per_byte < math.log2(300)
    expected: dict[str, Value] = {
        "schedule": "cosine",
        "decay_mode": "decoupled",
        "parametrisation": "standard",
        "optimizer": "adamw",
    }
    expected |= {"precision": "float32", "steps": 60, "warmup_tokens": 6 * 256, "threads": 1, "repeated_tokens": 0}
    assert {name: attributes[name] for name in expected} == expected
    assert set(attributes) >= {"corpus_fingerprint", "tokenizer_fingerprint", "attention_backend", "device"}
    assert attributes["seed"] == config.seed
    assert attributes["git_revision"] == code_revision() or code_revision() is None
    assert {f"{name}_version" for name in ("python", "torch", "numpy", "tokenizers")} <= set(attributes)
    assert size_conventions(config.architecture).items() <= attributes.items()
    assert all(isinstance(value, bool | int | float | str) for value in attributes.values())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_config_gives_the_same_losses_bit_for_bit(config: ProxyConfig, storage: Path, precision: str) -> None:
    config = change(config, precision=precision)
    first, second = (list(train(config, storage)) for _ in range(2))
    assert losses(first) == losses(second)
    assert [result.evaluation for result in first] == [result.evaluation for result in second]
    other = list(train(change(config, seed=1), storage))
    assert losses(other) != losses(first)


def test_masked_documents_train_otherwise_and_say_so(config: ProxyConfig, storage: Path) -> None:
    architecture = config.architecture.model_copy(update={"mask_documents": True})
    masked, plain = (list(train(one, storage)) for one in (change(config, architecture=architecture), config))
    for results, expected in ((masked, True), (plain, False)):
        assert results[-1].summary is not None
        assert results[-1].summary.attributes["mask_documents"] is expected
    assert losses(masked) != losses(plain)
    assert losses(masked)[-1] == pytest.approx(losses(plain)[-1], abs=0.1)


PROGRAM = """
import json, sys
from pathlib import Path
from trainer.config import ProxyConfig
from trainer.proxies import train
results = list(train(ProxyConfig.model_validate_json(sys.argv[1]), Path(sys.argv[2])))
print(json.dumps([[result.train_loss for result in results], results[-1].evaluation.bits_per_byte]))
"""


@pytest.mark.parametrize("precision", ["bfloat16", pytest.param("float32", marks=pytest.mark.chaos)])
def test_an_attempt_that_begins_again_in_another_process_gives_the_same_losses(
    config: ProxyConfig, storage: Path, precision: str
) -> None:
    config = change(config, precision=precision)
    lost = train(change(config, seed=5), storage)
    next(lost)  # the process has begun another trial, and lost it
    lost.close()
    here = list(train(config, storage))
    command = [sys.executable, "-c", PROGRAM, config.model_dump_json(), str(storage)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert here[-1].evaluation is not None
    assert json.loads(done.stdout) == [losses(here), here[-1].evaluation.bits_per_byte]


def test_bfloat16_trains_to_about_the_same_loss(config: ProxyConfig, storage: Path) -> None:
    single, half = (list(train(change(config, precision=precision), storage)) for precision in ("float32", "bfloat16"))
    assert half[-1].summary is not None
    assert half[-1].summary.attributes["precision"] == "bfloat16"
    assert losses(half)[-1] == pytest.approx(losses(single)[-1], abs=0.05)
    assert losses(half) != losses(single)


def test_micro_batches_accumulate_to_the_same_step(config: ProxyConfig, data: PreparedData) -> None:
    whole = TrainingRun(config, data)
    parts = TrainingRun(change(config, micro_batch_tokens=96), data)
    assert parts.execution.micro_batch == 3
    assert losses(list(parts.results())) == pytest.approx(losses(list(whole.results())), rel=1e-4)


def test_the_first_step_is_adamw_with_clipping(config: ProxyConfig, data: PreparedData) -> None:
    config = optimize(config, warmup_tokens=0, final_learning_rate_ratio=1.0, gradient_clip=0.01)
    run, reference = TrainingRun(config, data), TrainingRun(config, data)
    next(run.results())
    batch = torch.from_numpy(reference.members[0].batches.batch(1))
    logits = reference.single.network(batch[:, :-1])
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten()).backward()  # type: ignore[no-untyped-call]
    norm = torch.stack([p.grad.norm() for p in reference.single.network.parameters() if p.grad is not None]).norm()
    for trained, parameter in zip(run.single.network.parameters(), reference.single.network.parameters(), strict=True):
        assert parameter.grad is not None
        gradient = parameter.grad * 0.01 / norm
        decay = 0.1 if parameter.ndim == 2 else 0.0
        expected = parameter * (1 - 1e-2 * decay) - 1e-2 * gradient / (gradient.abs() + 1e-8)
        clear = gradient.abs() > 1e-6  # elsewhere rounding decides the sign of a step
        assert clear.float().mean() > 0.5
        assert torch.allclose(trained[clear], expected[clear], atol=1e-4)


def test_threads_are_those_of_the_config(config: ProxyConfig, data: PreparedData) -> None:
    TrainingRun(change(config, threads=2), data)
    assert torch.get_num_threads() == 2
    TrainingRun(config, data)
    assert torch.get_num_threads() == 1


def test_norm_gains_do_not_decay(config: ProxyConfig, data: PreparedData) -> None:
    run = TrainingRun(config, data)
    decayed, free = make_optimizer(run.single.network, config.optimization).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in free["params"]} == {1}
    assert (
        sum(p.numel() for group in (decayed, free) for p in group["params"])
        == count_parameters(config.architecture).total
    )


def test_closing_the_generator_stops_the_run(config: ProxyConfig, data: PreparedData) -> None:
    run = TrainingRun(config, data)
    results = run.results()
    next(results)
    results.close()
    assert run.progress.step == 1


def test_an_early_stop_keeps_the_schedule_and_is_evaluated(config: ProxyConfig, data: PreparedData) -> None:
    full, short = list(TrainingRun(config, data).results()), list(TrainingRun(config, data).results(5))
    assert losses(short) == losses(full)[:5]
    assert [result.learning_rate for result in short] == [result.learning_rate for result in full[:5]]
    assert short[-1].finished
    assert short[-1].steps == 12
    assert short[-1].evaluation is not None
    assert short[-1].summary is not None


def test_repeated_tokens_are_counted(config: ProxyConfig, data: PreparedData) -> None:
    short = data.train[: 32 * 20 + 1]
    run = TrainingRun(config, PreparedData(**{**vars(data), "train": short}))
    last = list(run.results())[-1]
    assert last.summary is not None
    attributes = last.summary.attributes
    assert (attributes["unique_tokens"], attributes["repeated_tokens"]) == (640, 12 * 256 - 640)
    assert attributes["epochs"] == pytest.approx(12 * 256 / 640)


def test_a_high_rate_diverges_with_a_reason(config: ProxyConfig, storage: Path) -> None:
    with pytest.raises(TrainingDiverged, match=r"above the 6\.704 at which a run is given up") as caught:
        list(train(optimize(config, learning_rate=5.0, weight_decay=0.0, warmup_tokens=0), storage))
    assert "validation loss" in caught.value.reason


def test_a_loss_that_is_not_finite_diverges(config: ProxyConfig, data: PreparedData) -> None:
    run = TrainingRun(change(config, initialization=InitializationConfig(std=10.0)), data)
    with torch.no_grad():
        run.single.network.embedding.weight[:] = math.nan
    with pytest.raises(TrainingDiverged, match="the loss is nan at step 1 of 12"):
        next(run.results())


def test_auto_takes_bfloat16_only_where_it_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert bfloat16_speedup("cpu") == bfloat16_speedup("cpu") > 0
    monkeypatch.setattr("trainer.machine.precision.bfloat16_speedup", lambda _: 1.4)
    assert resolve_precision("auto", cpu) == "float32"
    monkeypatch.setattr("trainer.machine.precision.bfloat16_speedup", lambda _: 3.0)
    assert resolve_precision("auto", cpu) == "bfloat16"
    assert resolve_precision("float32", cpu) == "float32"


def test_an_impossible_batch_is_refused(config: ProxyConfig, storage: Path) -> None:
    with pytest.raises(InvalidInput, match="batch_tokens: 100 is not a multiple"):
        next(iter(train(optimize(config, batch_tokens=100), storage)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_the_loss_is_read_now_and_then(config: ProxyConfig, data: PreparedData) -> None:
    results = list(TrainingRun(change(config, evaluations=1), data).results())
    assert len(set(losses(results)[: loop.CUDA_READING_STEPS])) == 1
    assert losses(results)[-1] < losses(results)[0]
    assert [result.train_loss_step for result in results] == [1] * 10 + [11, 12]


def test_a_long_warmup_still_learns_in_twenty_steps(data: PreparedData, config: ProxyConfig) -> None:
    architecture = ArchitectureConfig(
        vocabulary_size=300, depth=2, width=64, ffn_width=128, kv_heads=2, sequence_length=64
    )
    optimization = OptimizationConfig(learning_rate=3e-3, batch_tokens=1024)
    length = TrainingLength(unit="tokens", amount=1e9)
    run = TrainingRun(change(config, architecture=architecture, optimization=optimization, length=length), data)
    seen = losses(list(islice(run.results(), 20)))
    assert seen[-1] < seen[0] - 0.1
