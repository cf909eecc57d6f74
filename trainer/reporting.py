"""What a run tells of a step, and of itself when it ends."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from trainer.criterion import Criterion
from trainer.decoding import DecodingSpeed
from trainer.execution import Execution
from trainer.machine.memory_use import PeakMemory
from trainer.member import Member
from trainer.parallel.world import World
from trainer.plan import RunPlan, learning_rate
from trainer.results import Evaluation, RunSummary, StepResult, Value
from trainer.rounds.attributes import round_attributes
from trainer.summary import (
    cost_attributes,
    data_attributes,
    machine_attributes,
    recipe_attributes,
    run_metrics,
)
from trainer.text.data import PreparedData


@dataclass
class Reporter:
    """Turns the state of the members of one run into results."""

    plan: RunPlan
    data: PreparedData
    execution: Execution
    world: World
    peak_memory: PeakMemory
    stack: int
    """Members of the run."""
    criterion: Criterion
    compilation_seconds: float = 0.0

    def result(
        self,
        member: Member,
        plan: RunPlan,
        evaluation: Evaluation | None,
        finished: bool,
        decoding: DecodingSpeed | None,
    ) -> StepResult:
        """What a member gives at its present step; ``plan`` is the run's, or that of an annealed evaluation."""
        step, optimization = member.progress.step, member.config.optimization
        annealed = plan is not self.plan
        ended = annealed or finished
        return StepResult(
            step=step,
            steps=self.plan.steps,
            tokens=step * optimization.batch_tokens,
            train_loss=member.train_loss,
            train_loss_step=member.train_loss_step,
            kl=member.kl,
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
        execution = self.execution
        inherit_flops = 0.0 if member.start is None else member.start.record.flops
        attributes = {
            **recipe_attributes(member.config, plan),
            **cost_attributes(
                member.config, plan, member.progress, self.criterion.teacher_flops_per_token, inherit_flops
            ),
            **_start_attributes(member),
            **self._teacher_attributes(member),
            **round_attributes(member.config.multiple_rounds, plan, member.batches, member.progress.step),
            **data_attributes(self.data, member.batches, member.progress),
            **machine_attributes(member.progress, self.world.device, self.peak_memory, execution.memory_estimate),
            "precision": execution.precision,
            "attention_backend": execution.backend,
            "compilation": execution.compilation,
            "compilation_seconds": self.compilation_seconds,
            "micro_batch_tokens": execution.micro_batch * member.config.architecture.sequence_length,
            **({} if decoding is None else {"decoding_seconds": decoding.seconds / self.stack}),
            "stack": self.stack,
            **self._process_attributes(),
            "threads": torch.get_num_threads(),
        }
        metrics = run_metrics(member.config, member.progress, evaluation)
        if decoding is not None:
            metrics["decode_tokens_per_second"] = decoding.tokens_per_second
        return RunSummary(metrics, attributes)

    def _teacher_attributes(self, member: Member) -> dict[str, Value]:
        """Whom it learned from, and how far it stayed from that; nothing of a run without a teacher."""
        teacher = self.criterion.teacher
        if teacher is None:
            return {}
        return {**teacher.attributes, **({} if member.kl is None else {"kl": member.kl})}

    def _process_attributes(self) -> dict[str, Value]:
        """How a full run was spread; nothing of a run on one process that keeps its activations."""
        shared: dict[str, Value] = {"processes": self.world.size, "process_group": self.world.backend}
        recomputed = {"recomputed": True} if self.execution.recomputed else {}
        return {**(shared if self.world.size > 1 else {}), **recomputed}


def _start_attributes(member: Member) -> Mapping[str, Value]:
    inheritance, start = member.config.inheritance, member.start
    return {} if start is None or inheritance is None else start.attributes(inheritance)
