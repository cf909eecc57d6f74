"""The training loop: a generator of one result a step. To stop a run is to close it.

A run trains one network, or several of one shape side by side (``trainer.program``); the loop is the same.
"""

import math
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from trainer.config import ProxyConfig
from trainer.decoding import DecodingSpeed, measure_decoding
from trainer.distillation.teacher import Teacher, read_teacher
from trainer.errors import TrainingDiverged
from trainer.evaluate import Evaluator
from trainer.execution import choose_execution, make_program
from trainer.inheritance.start import Start
from trainer.machine.allocation import keep_freed_memory
from trainer.machine.compilation import compiled
from trainer.machine.devices import limit_gpu_memory
from trainer.machine.memory_use import PeakMemory
from trainer.machine.precision import autocast
from trainer.member import Member
from trainer.parallel.world import World, alone
from trainer.plan import RunPlan, check_share, learning_rate, plan_run
from trainer.program import SingleProgram
from trainer.reporting import Reporter
from trainer.results import Evaluation, StepResult
from trainer.rounds.batches import make_batches
from trainer.rounds.choosing import make_rounds
from trainer.rounds.forgetting import PartSamples
from trainer.rounds.measuring import mean_nats
from trainer.stacks import check_stack
from trainer.summary import Progress
from trainer.text.data import PreparedData
from trainer.text.feeder import Feeder

CUDA_READING_STEPS = 10
"""Steps between readings of the loss on CUDA (assumed), because each waits for the device. A CPU reads every step."""

MemberResult = StepResult | TrainingDiverged
MemberResults = Mapping[int, MemberResult]
"""What one step gave, by the member's index in its stack; a diverged member occurs once more and then no longer."""


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
            stacked, the teacher cannot be used, or the memory does not suffice.
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
        self.members = [Member(each, make_batches(each, self.plan, data.train)) for each in configs]
        self.execution = choose_execution(configs, self.world)
        self.peak_memory = PeakMemory(self.device)
        self.program = make_program(configs, self.execution, self.world, self._read_teacher())
        self._loss = compiled(self.program.loss, "off" if self.world.size > 1 else self.execution.compilation)
        all_batches = [member.batches for member in self.members]
        part = self.world.share(self.members[0].batches.batch_sequences)
        self.feeder = Feeder(all_batches, data.token_bytes, self.device, ahead=self.device.type == "cuda", part=part)
        self.evaluator = Evaluator(data, sequence_length, self.execution.micro_batch, self.world)
        self.rounds = make_rounds(config.multiple_rounds, all_batches, self.world)
        measured = self.plan.rounds if config.multiple_rounds.measures_forgetting else None
        self._samples = PartSamples(all_batches, measured, self.world) if measured else None
        criterion = self.program.criterion
        self._reporter = Reporter(
            self.plan, data, self.execution, self.world, self.peak_memory, len(configs), criterion
        )

    def _read_teacher(self) -> Teacher | None:
        config, precision = self.config, self.execution.precision
        if config.distillation is None:
            return None
        student, tokenizer = config.architecture, self.data.tokenizer
        return read_teacher(config.distillation, student, tokenizer, self.device, precision, self.world.on_this_host)

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

    def start_from(self, starts: Sequence[Start | None]) -> None:
        """Replace the initial weights of those members that inherit theirs."""
        for index, (member, start) in enumerate(zip(self.members, starts, strict=True)):
            member.start = start
            if start is not None:
                self.program.start_from(index, start.weights(member.config.architecture))

    def results(self, max_steps: int | None = None) -> Generator[StepResult, None, None]:
        """Train one network to the end, or to step ``max_steps`` of the same schedule, which is evaluated as well.

        Raises:
            TrainingDiverged: the loss is not finite, or at an evaluation far above that of a uniform guess.
        """
        yield from of_one(self.member_results(max_steps))

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
            self._end_round(step)
            yield self._results(self.plan, evaluations, finished=step == last)
            if all(member.ended for member in self.members):
                return

    def _is_read(self, step: int) -> bool:
        """Before a round's end too, so that the time of the steps that are still queued is that of training."""
        return self.device.type == "cpu" or step % CUDA_READING_STEPS == 1 or self._ends_round(step)

    def _ends_round(self, step: int) -> bool:
        return self.rounds is not None and step in self.rounds.plan.boundaries

    def _compile(self) -> None:
        """Compute one gradient and forget it, so that no step's time holds the compiler's."""
        if self.execution.compilation == "off":
            return
        start = time.perf_counter()
        self._accumulate_gradient(self.feeder.take(self.progress.step + 1).tokens_mbs)
        self.program.forget_gradients()
        self._wait()
        self._reporter.compilation_seconds = time.perf_counter() - start

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _train_step(self, plan: RunPlan, read: bool) -> None:
        start = time.perf_counter()
        step = self.progress.step + 1
        batch = self.feeder.take(step)
        readings_rm = self._accumulate_gradient(batch.tokens_mbs)
        if self.rounds is not None:
            self.rounds.add(step, readings_rm[0])
        self.program.update([learning_rate(member.config.optimization, plan, step) for member in self.members])
        readings = self.world.mean(readings_rm).T.tolist() if read else None
        seconds = (time.perf_counter() - start) / len(self.members)
        for index, member in enumerate(self.members):
            member.progress.step = step
            member.progress.train_bytes += batch.text_bytes[index]
            member.progress.training_seconds += seconds
            if readings is not None:
                member.read_loss(*readings[index], plan=plan)

    def _accumulate_gradient(self, tokens_mbs: Tensor) -> Tensor:
        """Add the gradient of each member's mean loss in micro-batches; return the criterion's mean readings ``rm``."""
        sequences = tokens_mbs.shape[1]
        readings_rm = torch.zeros(self.program.criterion.readings, len(self.members), device=self.device)
        for micro_mbs in torch.tensor_split(tokens_mbs, math.ceil(sequences / self.execution.micro_batch), dim=1):
            share = micro_mbs.shape[1] / sequences
            with autocast(self.execution.precision, self.device):
                objective_m, micro_rm = self._loss(micro_mbs[..., :-1], micro_mbs[..., 1:])
            (objective_m.sum() * share).backward()  # type: ignore[no-untyped-call]
            readings_rm += micro_rm * share
        return readings_rm

    def _annealed(self, fork: RunPlan) -> MemberResults:
        """Finish a shorter run that shares the trunk so far, evaluate it, and come back to the trunk."""
        start = time.perf_counter()
        trunk, before = self.program.snapshot(), [replace(member.progress) for member in self.members]
        losses = [(member.train_loss, member.train_loss_step, member.kl) for member in self.members]
        while self.progress.step < fork.steps:
            self._train_step(fork, read=self._is_read(self.progress.step + 1))
        results = self._results(fork, self._evaluate())
        self.program.restore(trunk)
        seconds = (time.perf_counter() - start) / len(self.members)
        for member, progress, loss in zip(self.members, before, losses, strict=True):
            member.progress = replace(progress, evaluation_seconds=progress.evaluation_seconds + seconds)
            member.train_loss, member.train_loss_step, member.kl = loss
        return results

    def _evaluate(self) -> list[Evaluation]:
        start = time.perf_counter()
        evaluations = self.evaluator.evaluate(self.program.nats, self.execution.precision)
        if self._samples is not None:
            part_losses = self._samples.measure(self.program, self.progress.step, self.execution)
            evaluations = [replace(one, part_losses=own) for one, own in zip(evaluations, part_losses, strict=True)]
        seconds = (time.perf_counter() - start) / len(self.members)
        for member, evaluation in zip(self.members, evaluations, strict=True):
            member.progress.evaluation_seconds += seconds
            member.check_evaluation(evaluation)
        return evaluations

    def _end_round(self, step: int) -> None:
        """Choose the next round where one ends with ``step``; a checkpoint of that step holds it.

        Where every member has failed there is no next one: a step that ends a round has had its loss read.
        """
        if self.rounds is None or not self._ends_round(step) or all(member.failure for member in self.members):
            return
        start = time.perf_counter()
        self.rounds.end(step, lambda first: mean_nats(self.program, self.feeder.take(first).tokens_mbs, self.execution))
        seconds = (time.perf_counter() - start) / len(self.members)
        for member in self.members:
            member.progress.evaluation_seconds += seconds

    def _results(
        self, plan: RunPlan, evaluations: Sequence[Evaluation] | None, finished: bool = False
    ) -> MemberResults:
        decoding = self._decode() if finished and self.world.size == 1 else None
        results: dict[int, MemberResult] = {}
        for index, member in enumerate(self.members):
            if member.ended:
                continue
            member.ended = member.failure is not None
            evaluation = evaluations[index] if evaluations else None
            results[index] = member.failure or self._reporter.result(member, plan, evaluation, finished, decoding)
        return results

    def _decode(self) -> DecodingSpeed:
        """Measured once for all members, whose shapes are the same; not where no process holds the whole network."""
        seconds = sum(member.progress.training_seconds for member in self.members)
        return measure_decoding(self.program.network_of(0), self.execution.precision, seconds)


def of_one(results: Iterator[MemberResults]) -> Generator[StepResult, None, None]:
    """The results of the first member.

    Raises:
        TrainingDiverged: it has diverged.
    """
    for step in results:
        result = step[0]
        if isinstance(result, TrainingDiverged):
            raise result
        yield result
