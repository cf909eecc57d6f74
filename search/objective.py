"""The real objective: train proxies and report at their evaluations. Runs in a Ray worker."""

from collections.abc import Iterator, Sequence

from model.errors import InvalidInput
from search.events import TrialFailed, TrialInfeasible
from search.loss_curve import LossCurve
from search.problem import Outcome, Report, TrialImpossible, TrialRequest
from search.proxy import proxy_config
from trainer.config import ProxyConfig
from trainer.errors import TrainingDiverged
from trainer.machine.memory import named_memory_errors
from trainer.proxies import train_stack
from trainer.results import StepResult
from trainer.rounds.config import PART_LOSS

MEMORY = "memory"
"""Field of the error of a program that the memory does not hold."""
INHERIT = "inherit"
"""First part of the field of the error of a trial that cannot inherit as it was told."""


def train_proxies(requests: Sequence[TrialRequest]) -> Iterator[Sequence[Outcome]]:
    """Train the proxies of some trials as one program; a last report carries the whole run's metrics and attributes.

    A stack that the memory does not hold, or of which a member cannot inherit, is trained in halves, one after the
    other, down to single trials; the attribute ``stack`` says how many trained together. A trial that cannot inherit is
    infeasible, whatever the others are. A trial whose loss leaves the range of a network that learns has
    failed; the same config would do so again.

    Raises:
        TrialImpossible: the corpus, the tokenizer, the length or the memory does not allow these trials.
    """
    waiting = [requests]
    while waiting:
        group = waiting.pop()
        try:
            yield from _train_together(group)
            continue
        except InvalidInput as error:
            of_member, reason = error.field.split(".")[0] == INHERIT, str(error)
            if not of_member and (error.field != MEMORY or len(group) == 1):
                raise TrialImpossible(reason) from error
        if len(group) == 1:
            yield [TrialInfeasible(group[0].number, reason)]
            continue
        half = (len(group) + 1) // 2  # outside of the handler, whose error holds the tensors of the run
        waiting += [group[half:], group[:half]]


def _train_together(requests: Sequence[TrialRequest]) -> Iterator[Sequence[Outcome]]:
    configs = [_config(request) for request in requests]
    curves = [LossCurve() for _ in requests]
    with named_memory_errors():
        for results in train_stack(configs, requests[0].storage):
            told = [_outcome(requests[index].number, result, curves[index]) for index, result in results.items()]
            outcomes = [outcome for outcome in told if outcome is not None]
            if outcomes:
                yield outcomes


def _config(request: TrialRequest) -> ProxyConfig:
    return proxy_config(request.settings, request.parameters, request.attributes, request.threads, request.gpu_share)


def _outcome(number: int, result: StepResult | TrainingDiverged, curve: LossCurve) -> Outcome | None:
    """What a trial tells of a step, which is nothing where it was not evaluated; ``curve`` keeps its losses."""
    if isinstance(result, TrainingDiverged):
        return TrialFailed(number, str(result))
    if not result.annealed:
        curve.add(result.train_loss_step, result.steps, result.train_loss)
    evaluation, summary = result.evaluation, result.summary
    if evaluation is None:
        return None
    values = {
        "bits_per_byte": evaluation.bits_per_byte,
        "validation_loss": evaluation.validation_loss,
        **{f"{PART_LOSS}{part}": loss for part, loss in evaluation.part_losses.items()},
    }
    losses = curve.take()
    if summary is None:
        return Report(number, result.step, values, result.finished, losses=losses)
    return Report(number, result.step, values, result.finished, summary.metrics, summary.attributes, losses)
