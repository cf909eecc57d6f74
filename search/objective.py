"""The real objective: train a proxy and report at its evaluations. Runs in a Ray worker."""

from collections.abc import Iterator

from model.errors import InvalidInput
from search.problem import Report, TrialDiverged, TrialImpossible, TrialRequest
from search.proxy import proxy_config
from trainer.errors import TrainingDiverged
from trainer.loop import train
from trainer.results import Evaluation, StepResult


def train_proxy(request: TrialRequest) -> Iterator[Report]:
    """Train the proxy of one trial; the last report carries the whole run's metrics and attributes.

    Raises:
        TrialDiverged: the loss left the range of a network that learns; the same config would do so again.
        TrialImpossible: the corpus, the tokenizer or the length does not allow this trial.
    """
    config = proxy_config(request.settings, request.parameters, request.attributes, request.threads)
    try:
        for result in train(config, request.storage):
            if result.evaluation is not None:
                yield _report(result, result.evaluation)
    except TrainingDiverged as error:
        raise TrialDiverged(str(error)) from error
    except InvalidInput as error:
        raise TrialImpossible(str(error)) from error


def _report(result: StepResult, evaluation: Evaluation) -> Report:
    values = {"bits_per_byte": evaluation.bits_per_byte, "validation_loss": evaluation.validation_loss}
    summary = result.summary
    if summary is None:
        return Report(result.step, values, result.finished)
    return Report(result.step, values, result.finished, summary.metrics, summary.attributes)
