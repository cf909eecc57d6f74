"""The training loop: a generator of one result a step. To stop a run is to close it."""

import math
import time
from collections.abc import Generator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from model.attention import fastest_backend
from model.initialization import initialize
from model.transformer import Transformer
from trainer.config import ProxyConfig
from trainer.data import Batches, PreparedData, prepare
from trainer.errors import TrainingDiverged
from trainer.evaluate import Evaluator
from trainer.optim import make_optimizer, set_learning_rate
from trainer.plan import learning_rate, plan_run
from trainer.precision import autocast, resolve_precision
from trainer.results import Evaluation, RunSummary, StepResult
from trainer.summary import Progress, data_attributes, machine_attributes, recipe_attributes, run_metrics

CUDA_READING_STEPS = 10
"""Steps between readings of the loss on CUDA (assumed), because each waits for the device. A CPU reads every step."""
CPU_MICRO_BATCH_TOKENS = 4096
"""Largest forward pass on a CPU, whatever the config allows: beyond it activations leave the cache (measured at 1M
parameters, batches of 16 384 tokens: 18.0k tokens/s at 4096, 16.2k at 8192, 14.4k at 16 384)."""
DIVERGED_ABOVE_UNIFORM = 1.0
"""Nats above ln V, the loss of a uniform guess, at which an evaluated run counts as diverged (assumed)."""


class TrainingRun:
    """One network being trained, from its initial weights or from what a checkpoint put in their place.

    The number of CPU threads is the process's: a process trains one network at a time.

    Raises:
        InvalidInput: the length, batch or warm-up cannot be realised, or the corpus is too short.
    """

    def __init__(self, config: ProxyConfig, data: PreparedData) -> None:
        torch.set_num_threads(config.threads)
        architecture, optimization = config.architecture, config.optimization
        self.config, self.data = config, data
        self.plan = plan_run(config, data.bytes_per_token)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.precision = resolve_precision(config.precision, self.device)
        dtype = torch.bfloat16 if self.precision == "bfloat16" else torch.float32
        self.backend = fastest_backend(self.device, dtype, architecture.sequence_length)
        self.network = Transformer(architecture, self.backend).to(self.device)
        std = config.initialization.std_at(architecture.width)
        initialize(self.network, config.initialization.scheme, std, config.seed)
        self.optimizer = make_optimizer(self.network, optimization)
        self.batches = Batches(data.train, architecture.sequence_length, optimization.batch_tokens, config.seed)
        self.micro_batch = self._micro_batch()
        self.evaluator = Evaluator(data, architecture.sequence_length, self.micro_batch, self.device)
        self.progress = Progress()
        self._read_loss = math.nan

    def _micro_batch(self) -> int:
        """Sequences of one forward pass."""
        limit = CPU_MICRO_BATCH_TOKENS if self.device.type == "cpu" else self.config.micro_batch_tokens
        tokens = min(limit, self.config.micro_batch_tokens)
        return max(tokens // self.config.architecture.sequence_length, 1)

    def results(self, max_steps: int | None = None) -> Generator[StepResult, None, None]:
        """Train to the end, or to step ``max_steps`` of the same schedule, which is then evaluated as well.

        Raises:
            TrainingDiverged: the loss is not finite, or at an evaluation far above that of a uniform guess.
        """
        last = min(self.plan.steps, max_steps or self.plan.steps)
        while self.progress.step < last:
            step = self.progress.step + 1
            evaluated = step in self.plan.evaluation_steps or step == last
            self._train_step(step, read=evaluated or self._is_read(step))
            evaluation = self._evaluate() if evaluated else None
            yield self._result(evaluation, finished=step == last)

    def _is_read(self, step: int) -> bool:
        return self.device.type == "cpu" or step % CUDA_READING_STEPS == 1

    def _train_step(self, step: int, read: bool) -> None:
        start = time.perf_counter()
        batch = self.batches.batch(step)
        set_learning_rate(self.optimizer, learning_rate(self.config.optimization, self.plan, step))
        loss = self._accumulate_gradient(torch.from_numpy(batch).to(self.device))
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.optimization.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.progress.step = step
        self.progress.train_bytes += int(self.data.token_bytes[batch[:, 1:]].sum())
        if read:
            self._read_loss = loss.item()
        self.progress.training_seconds += time.perf_counter() - start
        if read and not math.isfinite(self._read_loss):
            raise TrainingDiverged(f"the loss is {self._read_loss} at step {step} of {self.plan.steps}")

    def _accumulate_gradient(self, batch_bs: Tensor) -> Tensor:
        """Add the gradient of the batch's mean loss in micro-batches; return that loss."""
        total = torch.zeros((), device=self.device)
        for micro_bs in torch.split(batch_bs, self.micro_batch):
            with autocast(self.precision, self.device):
                logits_bsv = self.network(micro_bs[:, :-1])
            loss = F.cross_entropy(logits_bsv.float().flatten(0, 1), micro_bs[:, 1:].flatten())
            share = loss * (len(micro_bs) / len(batch_bs))
            share.backward()  # type: ignore[no-untyped-call]
            total += share.detach()
        return total

    def _evaluate(self) -> Evaluation:
        start = time.perf_counter()
        evaluation = self.evaluator.evaluate(self.network, self.precision)
        self.progress.evaluation_seconds += time.perf_counter() - start
        limit = math.log(self.config.architecture.vocabulary_size) + DIVERGED_ABOVE_UNIFORM
        if not evaluation.validation_loss <= limit:
            reason = f"the validation loss is {evaluation.validation_loss:.3f} at step {self.progress.step}"
            raise TrainingDiverged(f"{reason}, above the {limit:.3f} at which a run is given up")
        return evaluation

    def _result(self, evaluation: Evaluation | None, finished: bool) -> StepResult:
        step = self.progress.step
        return StepResult(
            step=step,
            steps=self.plan.steps,
            tokens=step * self.config.optimization.batch_tokens,
            train_loss=self._read_loss,
            learning_rate=learning_rate(self.config.optimization, self.plan, step),
            seconds=self.progress.training_seconds,
            evaluation=evaluation,
            finished=finished,
            summary=self._summary(evaluation) if finished and evaluation else None,
        )

    def _summary(self, evaluation: Evaluation) -> RunSummary:
        attributes = {
            **recipe_attributes(self.config, self.plan),
            **data_attributes(self.data, self.batches, self.progress),
            **machine_attributes(self.progress, self.device),
            "precision": self.precision,
            "attention_backend": self.backend,
            "micro_batch_tokens": self.micro_batch * self.config.architecture.sequence_length,
            "threads": torch.get_num_threads(),
        }
        return RunSummary(run_metrics(self.config, self.progress, evaluation), attributes)


def train(config: ProxyConfig, storage: Path) -> Generator[StepResult, None, None]:
    """Train a proxy from its initial weights, one result a step; the same config gives the same losses.

    Raises:
        InvalidInput: the corpus, the tokenizer's size or the length cannot be used.
        TrainingDiverged: the loss is not finite, or at an evaluation far above that of a uniform guess.
    """
    data = prepare(config.corpus, config.architecture.vocabulary_size, config.validation_bytes, storage)
    yield from TrainingRun(config, data).results()
