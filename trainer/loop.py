"""The training loop: a generator of one result a step. To stop a run is to close it.

A run trains one network, or several of one shape side by side (``trainer.program``); the loop is the same.
"""

import math
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from model.attention import fastest_backend
from model.errors import InvalidInput
from trainer.config import PretrainConfig, ProxyConfig
from trainer.decoding import DecodingSpeed, measure_decoding
from trainer.errors import TrainingDiverged
from trainer.evaluate import Evaluator
from trainer.machine.allocation import keep_freed_memory
from trainer.machine.compilation import choose_mode, compiled, share_compiled_code
from trainer.machine.devices import limit_gpu_memory
from trainer.machine.memory import check_memory
from trainer.machine.memory_estimate import MemoryEstimate
from trainer.machine.memory_use import PeakMemory
from trainer.machine.precision import autocast, resolve_precision
from trainer.parallel.sharded import ShardedProgram
from trainer.parallel.world import World, alone
from trainer.plan import RunPlan, check_share, learning_rate, plan_run
from trainer.program import Program, SingleProgram, StackedProgram
from trainer.results import Evaluation, RunSummary, StepResult, Value
from trainer.stacks import check_stack
from trainer.summary import (
    Progress,
    cost_attributes,
    data_attributes,
    machine_attributes,
    recipe_attributes,
    run_metrics,
)
from trainer.text.data import Batches, PreparedData, prepare
from trainer.text.feeder import Feeder

CUDA_READING_STEPS = 10
"""Steps between readings of the loss on CUDA (assumed), because each waits for the device. A CPU reads every step."""
CPU_MICRO_BATCH_TOKENS = 4096
"""Largest forward pass on a CPU, over all members and whatever the config allows: beyond it activations leave the cache
(measured at 1M parameters, batches of 16 384 tokens: 18.0k tokens/s at 4096, 16.2k at 8192, 14.4k at 16 384)."""
DIVERGED_ABOVE_UNIFORM = 1.0
"""Nats above ln V, the loss of a uniform guess, at which an evaluated run counts as diverged (assumed)."""

MemberResults = Mapping[int, StepResult | TrainingDiverged]
"""What one step gave, by the member's index in its stack; a diverged member occurs once more and then no longer."""


@dataclass
class Member:
    """One network of a run."""

    config: ProxyConfig
    batches: Batches
    progress: Progress = field(default_factory=Progress)
    train_loss: float = math.nan
    """Nats per token, as last read."""
    train_loss_step: int = 0
    """The step whose loss it is."""
    failure: TrainingDiverged | None = None
    ended: bool = False
    """Whether its failure has been told."""


class TrainingRun:
    """One network being trained, from its initial weights or from what a checkpoint put in their place; or a stack.

    The number of CPU threads is the process's: a process has one run at a time.

    Args:
        config: the network, and what it shares with ``others``.
        data: the corpus as tokens.
        others: further members of a stack, of the same shape (``trainer.stacks``).
        world: the processes that train one network together, each of which makes its run; this one alone, if left out.

    Raises:
        InvalidInput: the length, batch or warm-up cannot be realised, the corpus is too short, the configs cannot be
            stacked, or the memory does not suffice.
    """

    def __init__(
        self,
        config: ProxyConfig,
        data: PreparedData,
        others: Sequence[ProxyConfig] = (),
        world: World | None = None,
    ) -> None:
        configs = [config, *others]
        check_stack(configs)
        torch.set_num_threads(config.threads)
        keep_freed_memory()
        limit_gpu_memory(config.gpu_share)
        sequence_length = config.architecture.sequence_length
        self.config, self.data = config, data
        self.plan = plan_run(config, data.bytes_per_token)
        self.world = world or alone()
        check_share(config, self.world.size)
        self.device = self.world.device
        self.precision = resolve_precision(config.precision, self.device)
        dtype = torch.bfloat16 if self.precision == "bfloat16" else torch.float32
        self.backend = fastest_backend(self.device, dtype, config.architecture, stacked=bool(others))
        batch_tokens = config.optimization.batch_tokens
        self.members = [Member(each, Batches(data.train, sequence_length, batch_tokens, each.seed)) for each in configs]
        self.micro_batch = self._micro_batch()
        self.recomputed, self.memory_estimate = self._check_memory()
        self.peak_memory = PeakMemory(self.device)
        self.compilation = choose_mode(config, self.micro_batch * sequence_length, len(configs), self.device)
        self.program = self._program(configs)
        self.compilation_seconds = 0.0
        self._loss = compiled(self.program.loss, "off" if self.world.size > 1 else self.compilation)
        all_batches = [member.batches for member in self.members]
        part = self.world.share(self.members[0].batches.batch_sequences)
        self.feeder = Feeder(all_batches, data.token_bytes, self.device, ahead=self.device.type == "cuda", part=part)
        self.evaluator = Evaluator(data, sequence_length, self.micro_batch, self.world)

    @property
    def single(self) -> SingleProgram:
        """The program of a run of one network."""
        assert isinstance(self.program, SingleProgram)
        return self.program

    @property
    def progress(self) -> Progress:
        """Of the first member."""
        return self.members[0].progress

    @progress.setter
    def progress(self, progress: Progress) -> None:
        self.members[0].progress = progress

    def _check_memory(self) -> tuple[bool, MemoryEstimate]:
        """Whether blocks are run again in the backward pass, as a full run may, and what is predicted then."""
        tokens = self.micro_batch * self.config.architecture.sequence_length
        members, processes = len(self.members), self.world.size
        try:
            return False, check_memory(self.config, tokens, self.backend, self.device, members, processes)
        except InvalidInput:
            if not isinstance(self.config, PretrainConfig):
                raise
            return True, check_memory(self.config, tokens, self.backend, self.device, members, processes, True)

    def _program(self, configs: Sequence[ProxyConfig]) -> Program:
        if len(configs) > 1:
            return StackedProgram(configs, self.backend, self.device)
        if self.world.size > 1:
            program: SingleProgram = ShardedProgram(
                configs[0], self.backend, self.world, self.precision, self.compilation
            )
        else:
            program = SingleProgram(configs[0], self.backend, self.device)
        program.network.recomputed = self.recomputed
        return program

    def _micro_batch(self) -> int:
        """Sequences of one forward pass, of each member."""
        limit = CPU_MICRO_BATCH_TOKENS if self.device.type == "cpu" else self.config.micro_batch_tokens
        tokens = min(limit, self.config.micro_batch_tokens) // len(self.members)
        return max(tokens // self.config.architecture.sequence_length, 1)

    def results(self, max_steps: int | None = None) -> Generator[StepResult, None, None]:
        """Train one network to the end, or to step ``max_steps`` of the same schedule, which is evaluated as well.

        Raises:
            TrainingDiverged: the loss is not finite, or at an evaluation far above that of a uniform guess.
        """
        for results in self.member_results(max_steps):
            result = results[0]
            if isinstance(result, TrainingDiverged):
                raise result
            yield result

    def member_results(self, max_steps: int | None = None) -> Generator[MemberResults, None, None]:
        """The same for every member: one that diverges says so, and the others go on.

        An annealed evaluation is a result of the shorter run's last step; it precedes that of the step where it left
        the trunk.
        """
        last = min(self.plan.steps, max_steps or self.plan.steps)
        if self.progress.step < last:
            self._compile()
        while self.progress.step < last:
            step = self.progress.step + 1
            evaluated = step in self.plan.evaluation_steps or step == last
            self._train_step(self.plan, read=evaluated or self._is_read(step))
            if step in self.plan.forks:
                yield self._annealed(self.plan.fork(step))
            evaluations = self._evaluate() if evaluated else None
            yield self._results(self.plan, evaluations, finished=step == last)
            if all(member.ended for member in self.members):
                return

    def _is_read(self, step: int) -> bool:
        return self.device.type == "cpu" or step % CUDA_READING_STEPS == 1

    def _compile(self) -> None:
        """Compute one gradient and forget it, so that no step's time holds the compiler's."""
        if self.compilation == "off":
            return
        start = time.perf_counter()
        self._accumulate_gradient(self.feeder.take(self.progress.step + 1).tokens_mbs)
        self.program.forget_gradients()
        self._wait()
        self.compilation_seconds = time.perf_counter() - start

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _train_step(self, plan: RunPlan, read: bool) -> None:
        start = time.perf_counter()
        step = self.progress.step + 1
        batch = self.feeder.take(step)
        nats_m = self._accumulate_gradient(batch.tokens_mbs)
        self.program.update([learning_rate(member.config.optimization, plan, step) for member in self.members])
        losses = self.world.mean(nats_m).tolist() if read else None
        seconds = (time.perf_counter() - start) / len(self.members)
        for index, member in enumerate(self.members):
            member.progress.step = step
            member.progress.train_bytes += batch.text_bytes[index]
            member.progress.training_seconds += seconds
            if losses is not None:
                _read_loss(member, losses[index], plan)

    def _accumulate_gradient(self, tokens_mbs: Tensor) -> Tensor:
        """Add the gradient of each member's mean loss in micro-batches; return the mean cross-entropies ``m``."""
        sequences = tokens_mbs.shape[1]
        nats_m = torch.zeros(len(self.members), device=self.device)
        for micro_mbs in torch.tensor_split(tokens_mbs, math.ceil(sequences / self.micro_batch), dim=1):
            share = micro_mbs.shape[1] / sequences
            with autocast(self.precision, self.device):
                objective_m, micro_nats_m = self._loss(micro_mbs[..., :-1], micro_mbs[..., 1:])
            (objective_m.sum() * share).backward()  # type: ignore[no-untyped-call]
            nats_m += micro_nats_m * share
        return nats_m

    def _annealed(self, fork: RunPlan) -> MemberResults:
        """Finish a shorter run that shares the trunk so far, evaluate it, and come back to the trunk."""
        start = time.perf_counter()
        trunk, before = self.program.snapshot(), [replace(member.progress) for member in self.members]
        losses = [(member.train_loss, member.train_loss_step) for member in self.members]
        while self.progress.step < fork.steps:
            self._train_step(fork, read=self._is_read(self.progress.step + 1))
        results = self._results(fork, self._evaluate())
        self.program.restore(trunk)
        seconds = (time.perf_counter() - start) / len(self.members)
        for member, progress, loss in zip(self.members, before, losses, strict=True):
            member.progress = replace(progress, evaluation_seconds=progress.evaluation_seconds + seconds)
            member.train_loss, member.train_loss_step = loss
        return results

    def _evaluate(self) -> list[Evaluation]:
        start = time.perf_counter()
        evaluations = self.evaluator.evaluate(self.program.nats, self.precision)
        seconds = (time.perf_counter() - start) / len(self.members)
        limit = math.log(self.config.architecture.vocabulary_size) + DIVERGED_ABOVE_UNIFORM
        for member, evaluation in zip(self.members, evaluations, strict=True):
            member.progress.evaluation_seconds += seconds
            if member.failure is None and not evaluation.validation_loss <= limit:
                reason = f"the validation loss is {evaluation.validation_loss:.3f} at step {member.progress.step}"
                member.failure = TrainingDiverged(f"{reason}, above the {limit:.3f} at which a run is given up")
        return evaluations

    def _results(
        self, plan: RunPlan, evaluations: Sequence[Evaluation] | None, finished: bool = False
    ) -> MemberResults:
        decoding = self._decode() if finished and self.world.size == 1 else None
        results: dict[int, StepResult | TrainingDiverged] = {}
        for index, member in enumerate(self.members):
            if member.ended:
                continue
            member.ended = member.failure is not None
            evaluation = evaluations[index] if evaluations else None
            results[index] = member.failure or self._result(member, plan, evaluation, finished, decoding)
        return results

    def _decode(self) -> DecodingSpeed:
        """Measured once for all members, whose shapes are the same; not where no process holds the whole network."""
        seconds = sum(member.progress.training_seconds for member in self.members)
        return measure_decoding(self.program.first_network(), self.precision, seconds)

    def _result(
        self,
        member: Member,
        plan: RunPlan,
        evaluation: Evaluation | None,
        finished: bool,
        decoding: DecodingSpeed | None,
    ) -> StepResult:
        step, optimization = member.progress.step, member.config.optimization
        annealed = plan is not self.plan
        ended = annealed or finished
        return StepResult(
            step=step,
            steps=self.plan.steps,
            tokens=step * optimization.batch_tokens,
            train_loss=member.train_loss,
            train_loss_step=member.train_loss_step,
            learning_rate=learning_rate(optimization, plan, step),
            seconds=member.progress.training_seconds,
            evaluation=evaluation,
            finished=finished,
            annealed=annealed,
            summary=self._summary(member, plan, evaluation, decoding) if evaluation and ended else None,
        )

    def _summary(
        self, member: Member, plan: RunPlan, evaluation: Evaluation, decoding: DecodingSpeed | None
    ) -> RunSummary:
        attributes = {
            **recipe_attributes(member.config, plan),
            **cost_attributes(member.config, plan, member.progress),
            **data_attributes(self.data, member.batches, member.progress),
            **machine_attributes(member.progress, self.device, self.peak_memory, self.memory_estimate),
            "precision": self.precision,
            "attention_backend": self.backend,
            "compilation": self.compilation,
            "compilation_seconds": self.compilation_seconds,
            "micro_batch_tokens": self.micro_batch * self.config.architecture.sequence_length,
            **({} if decoding is None else {"decoding_seconds": decoding.seconds / len(self.members)}),
            "stack": len(self.members),
            **self._process_attributes(),
            "threads": torch.get_num_threads(),
        }
        metrics = run_metrics(member.config, member.progress, evaluation)
        if decoding is not None:
            metrics["decode_tokens_per_second"] = decoding.tokens_per_second
        return RunSummary(metrics, attributes)

    def _process_attributes(self) -> dict[str, Value]:
        """How a full run was spread; nothing of a run on one process that keeps its activations."""
        shared: dict[str, Value] = {"processes": self.world.size, "process_group": self.world.backend}
        return {**(shared if self.world.size > 1 else {}), **({"recomputed": True} if self.recomputed else {})}


def _read_loss(member: Member, loss: float, plan: RunPlan) -> None:
    member.train_loss, member.train_loss_step = loss, member.progress.step
    if member.failure is None and not math.isfinite(loss):
        member.failure = TrainingDiverged(f"the loss is {loss} at step {member.progress.step} of {plan.steps}")


def train(config: ProxyConfig, storage: Path) -> Generator[StepResult, None, None]:
    """Train a proxy from its initial weights, one result a step; the same config gives the same losses.

    Raises:
        InvalidInput: the corpus, the tokenizer's size or the length cannot be used.
        TrainingDiverged: the loss is not finite, or at an evaluation far above that of a uniform guess.
    """
    yield from _start([config], storage).results()


def train_stack(configs: Sequence[ProxyConfig], storage: Path) -> Generator[MemberResults, None, None]:
    """Train proxies of one shape as one program; each learns what it would learn alone, up to rounding.

    Raises:
        InvalidInput: as for ``train``, or the configs differ in more than ``trainer.stacks.STACKABLE_NAMES``.
    """
    yield from _start(configs, storage).member_results()


def _start(configs: Sequence[ProxyConfig], storage: Path) -> TrainingRun:
    first, *others = configs
    share_compiled_code(storage)
    size = first.architecture.vocabulary_size
    data = prepare(first.corpus, size, first.validation_bytes, storage, tokenizer_source=first.tokenizer_source)
    return TrainingRun(first, data, others)
