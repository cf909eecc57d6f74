"""What this machine can give a trial, where no cluster is named."""

import os

from model.errors import InvalidInput
from search.settings import Resources


def check_machine(resources: Resources) -> None:
    """Check that a trial finds its CPUs and GPUs here; Ray would wait for them.

    Raises:
        InvalidInput: it asks for more.
    """
    _check("cpu", resources.cpu, len(os.sched_getaffinity(0)))
    if resources.gpu:
        from trainer.machine.devices import count_gpus  # loads torch

        _check("gpu", resources.gpu, count_gpus())


def _check(name: str, asked: float, available: int) -> None:
    if asked > available:
        reason = f"a trial asks for {asked:g} {name.upper()}s, this machine has {available}"
        raise InvalidInput(f"resources_per_trial.{name}", reason, f"give at most {available}")
