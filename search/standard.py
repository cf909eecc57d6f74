"""The standard parameters: their types and bounds, read off the configs that will receive them."""

import difflib
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from model.config import MAX_VOCABULARY_SIZE, ArchitectureConfig, FrozenConfig
from model.errors import InvalidInput
from search.parameters import PARAMETER_NAMES, CategoricalParameter, FloatParameter, Parameter
from trainer.config import InitializationConfig, OptimizationConfig, ProxyConfig, ProxySettings
from trainer.inheritance.config import InheritanceConfig, InheritMethod
from trainer.rounds.config import RoundsConfig

MIN_VOCABULARY_SIZE = 257
"""256 bytes and the end-of-text token: the smallest byte-level vocabulary (derived)."""

_SOURCES: dict[str, tuple[type[FrozenConfig], str]] = {
    "block": (ArchitectureConfig, "block"),
    "depth": (ArchitectureConfig, "depth"),
    "width": (ArchitectureConfig, "width"),
    "head_dim": (ArchitectureConfig, "head_dim"),
    "kv_heads": (ArchitectureConfig, "kv_heads"),
    "sequence_length": (ArchitectureConfig, "sequence_length"),
    "ffn_ratio": (ProxySettings, "ffn_ratio"),
    "learning_rate": (OptimizationConfig, "learning_rate"),
    "batch_tokens": (OptimizationConfig, "batch_tokens"),
    "weight_decay": (OptimizationConfig, "weight_decay"),
    "warmup_tokens": (OptimizationConfig, "warmup_tokens"),
    "init_scheme": (InitializationConfig, "scheme"),
    "init_std": (InitializationConfig, "std"),
    "rounds": (RoundsConfig, "rounds"),
    "sampling_rate": (RoundsConfig, "sampling_rate"),
    "parts": (RoundsConfig, "parts"),
    "round_selection": (RoundsConfig, "selection"),
    "round_losses": (RoundsConfig, "losses"),
    "inherit_layers": (InheritanceConfig, "layers"),
    "seed": (ProxyConfig, "seed"),
}


def _adapter(model: type[FrozenConfig], name: str) -> TypeAdapter[Any]:
    field = model.model_fields[name]
    annotation: Any = Annotated[field.annotation, field]
    return TypeAdapter(annotation)


_ADAPTERS: dict[str, TypeAdapter[Any]] = {name: _adapter(*source) for name, source in _SOURCES.items()} | {
    "vocabulary_size": TypeAdapter(Annotated[int, Field(ge=MIN_VOCABULARY_SIZE, le=MAX_VOCABULARY_SIZE)]),
    "inherit_method": TypeAdapter(InheritMethod),
}

INTEGER_NAMES = frozenset(
    {
        "depth",
        "width",
        "vocabulary_size",
        "head_dim",
        "kv_heads",
        "batch_tokens",
        "warmup_tokens",
        "rounds",
        "parts",
        "sequence_length",
        "seed",
    }
)
"""Names whose values are whole numbers."""


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like ``name``, if any is."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return found[0] if found else None


def check_name(name: str, field: str) -> None:
    """Check that ``name`` can be varied.

    Raises:
        InvalidInput: it is not a standard name.
    """
    if name in PARAMETER_NAMES:
        return
    guess = closest(name, PARAMETER_NAMES)
    remedy = f"did you mean {guess}? " if guess else ""
    raise InvalidInput(
        field, f"{name!r} is not a parameter", f"{remedy}use one of {', '.join(sorted(PARAMETER_NAMES))}"
    )


def check_value(name: str, value: object, field: str) -> None:
    """Check one value of a standard parameter against the config that will receive it.

    Raises:
        InvalidInput: its type is wrong, or it is out of bounds.
    """
    try:
        _ADAPTERS[name].validate_python(value, strict=True)
    except ValidationError as error:
        expected = error.errors()[0]["msg"].replace("Input", name, 1)
        raise InvalidInput(field, f"{value!r} is out of place", expected) from None


def check_parameter(name: str, parameter: Parameter) -> None:
    """Check the values that a parameter of the space can take.

    Raises:
        InvalidInput: the name is unknown, a value is out of bounds, or whole numbers are declared as floats.
    """
    field = f"space.{name}"
    check_name(name, field)
    if isinstance(parameter, CategoricalParameter):
        for index, choice in enumerate(parameter.choices):
            check_value(name, choice, f"{field}.choices.{index}")
        return
    if isinstance(parameter, FloatParameter) and name in INTEGER_NAMES:
        raise InvalidInput(f"{field}.type", f"{name} takes whole numbers, not float", "write type: int")
    check_value(name, parameter.low, f"{field}.low")
    check_value(name, parameter.high, f"{field}.high")
