"""From sampled values to the config of one proxy run; no torch."""

from collections.abc import Mapping
from typing import Any

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from search.events import Value
from trainer.config import (
    InitializationConfig,
    LengthUnit,
    OptimizationConfig,
    ProxyConfig,
    ProxySettings,
    TrainingLength,
    TrialSettings,
)
from trainer.inheritance.config import InheritanceConfig
from trainer.rounds.config import RoundsConfig

ROUND_PARAMETERS = frozenset({"rounds", "sampling_rate", "parts", "round_selection", "round_losses"})
"""A study that varies one of them compares rounds, and so measures forgetting in all its trials."""


def training_length(settings: ProxySettings) -> TrainingLength:
    """The one length that the settings give.

    Raises:
        InvalidInput: none is given, or more than one.
    """
    lengths: dict[LengthUnit, float | None] = {
        "tokens": settings.train_tokens,
        "bytes": settings.train_bytes,
        "flops": settings.train_flops,
    }
    given = {unit: amount for unit, amount in lengths.items() if amount is not None}
    if len(given) != 1:
        found = " and ".join(f"train_{unit}" for unit in given) or "none"
        raise InvalidInput(
            "proxy",
            f"needs exactly one training length and has {found}",
            "give train_bytes, train_flops or train_tokens",
        )
    unit, amount = given.popitem()
    return TrainingLength(unit=unit, amount=amount)


def architecture_config(
    settings: ProxySettings, values: Mapping[str, Value], attributes: Mapping[str, Value]
) -> ArchitectureConfig:
    """The network of one run; the arguments and errors are those of :func:`proxy_config`."""
    chosen = {**settings.model_dump(exclude={"corpus"}), **values}
    chosen["mup_base_width"] = chosen["mup_base_width"] if chosen["init_scheme"] == "mup" else None
    given = {name: chosen[name] for name in ArchitectureConfig.model_fields if name in chosen}
    return ArchitectureConfig.model_validate(
        {**given, "ffn_width": attributes["ffn_width"], "kv_heads": attributes["kv_heads"]}
    )


def proxy_config(
    settings: ProxySettings,
    values: Mapping[str, Value],
    attributes: Mapping[str, Value],
    threads: int,
    gpu_share: float = 1.0,
) -> ProxyConfig:
    """Everything that determines one run: the settings, overridden by the trial's values.

    Args:
        settings: the study's ``proxy`` section.
        values: the trial's parameters by their standard names, the solved width among them.
        attributes: the trial's attributes; ``ffn_width`` and ``kv_heads`` are read.
        threads: CPU threads of the run.
        gpu_share: share of a GPU's memory that the run may fill.

    Raises:
        InvalidInput: the settings give no length, or more than one.
        pydantic.ValidationError: a value is out of bounds.
    """
    chosen = {**settings.model_dump(exclude={"corpus"}), **values}
    optimization = {name: chosen[name] for name in OptimizationConfig.model_fields if name in chosen}
    return ProxyConfig(
        architecture=architecture_config(settings, values, attributes),
        optimization=OptimizationConfig.model_validate(optimization),
        initialization=InitializationConfig(scheme=chosen["init_scheme"], std=chosen["init_std"]),
        inheritance=_inheritance(settings, values),
        multiple_rounds=_rounds(chosen, values),
        distillation=settings.teacher if isinstance(settings, TrialSettings) else None,
        corpus=settings.corpus,
        tokenizer_source=settings.tokenizer,
        length=training_length(settings),
        seed=chosen["seed"],
        precision=settings.precision,
        evaluations=settings.evaluations,
        annealed_evaluations=settings.annealed_evaluations,
        compilation=settings.compilation,
        validation_bytes=settings.validation_bytes,
        keep_weights=settings.keep_weights,
        threads=threads,
        gpu_share=gpu_share,
    )


def _rounds(chosen: Mapping[str, Any], values: Mapping[str, Value]) -> RoundsConfig:
    """The rounds of a trial; ``values`` are those that its study varies."""
    varied = not ROUND_PARAMETERS.isdisjoint(values)
    return RoundsConfig(
        rounds=chosen["rounds"],
        sampling_rate=chosen["sampling_rate"],
        parts=chosen["parts"],
        selection=chosen["round_selection"],
        losses=chosen["round_losses"],
        forgetting=True if varied and chosen["forgetting"] is None else chosen["forgetting"],
    )


def _inheritance(settings: ProxySettings, values: Mapping[str, Value]) -> InheritanceConfig | None:
    """What a trial inherits, by its own values and else by the study's ``inherit``."""
    parent = settings.inherit if isinstance(settings, TrialSettings) else None
    method = values.get("inherit_method", settings.inherit_method)
    if parent is None or method == "none":
        return None
    layers = values.get("inherit_layers", settings.inherit_layers)
    return InheritanceConfig.model_validate({**parent.model_dump(), "neurons": method, "layers": layers})
