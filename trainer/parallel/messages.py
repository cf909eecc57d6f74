"""Errors as text, so that one process can tell the others, or the command that started them, why it gave up."""

import json
from collections.abc import Callable

from model.errors import FormularyError, InvalidInput
from trainer.errors import TrainingDiverged


class OtherFailed(FormularyError):
    """Another process of the run has failed; the text says why."""


def as_text(error: BaseException) -> str:
    """An error as JSON."""
    if isinstance(error, InvalidInput):
        return json.dumps({"kind": "input", "said": [error.field, error.reason, error.remedy]})
    if isinstance(error, TrainingDiverged):
        return json.dumps({"kind": "diverged", "said": [error.reason]})
    said = str(error) if isinstance(error, FormularyError) else f"{type(error).__name__}: {error}"
    return json.dumps({"kind": "other", "said": [said[:2000]]})


_KINDS: dict[str, Callable[..., FormularyError]] = {
    "input": InvalidInput,
    "diverged": TrainingDiverged,
    "other": OtherFailed,
}


def as_error(text: str) -> FormularyError:
    """The error of a text that ``as_text`` made."""
    try:
        content = json.loads(text)
        return _KINDS[content["kind"]](*content["said"])
    except (ValueError, KeyError, TypeError):  # a text that was cut
        return OtherFailed(text)
