"""A point of the search space as the config of a proxy run. No torch: recipes read trials through it too."""

from collections.abc import Mapping

from model.config import ArchitectureConfig
from search.events import Value
from trainer.config import InitializationConfig, OptimizationConfig, ProxyConfig, ProxySettings, TrainingLength

LENGTH_SETTINGS = {"tokens": "train_tokens", "bytes": "train_bytes", "flops": "train_flops"}
"""Name in ``ProxySettings`` of each unit of length."""

_ARCHITECTURE = ("vocabulary_size", "depth", "width", "head_dim", "tied_head", "sequence_length")
_OPTIMIZATION = (
    "learning_rate",
    "batch_tokens",
    "weight_decay",
    "warmup_tokens",
    "warmup_ratio",
    "final_learning_rate_ratio",
)
_RUN = ("corpus", "seed", "precision", "evaluations", "validation_bytes")


def proxy_config(
    settings: ProxySettings, values: Mapping[str, Value], attributes: Mapping[str, Value], threads: int
) -> ProxyConfig:
    """The run of one point: its ``values``, the network's ``attributes``, and the study's settings for the rest.

    Args:
        settings: the ``proxy`` section of the spec.
        values: parameters by their standard names, the solved width among them.
        attributes: ``ffn_width`` and ``kv_heads`` as ``Space`` gives them.
        threads: CPU threads of the run.

    Raises:
        pydantic.ValidationError: the values do not make a network.
    """
    known = {name: getattr(settings, name) for name in type(settings).model_fields} | dict(values)
    architecture = {name: known[name] for name in _ARCHITECTURE}
    optimization = {name: known[name] for name in _OPTIMIZATION}
    return ProxyConfig(
        architecture=ArchitectureConfig(
            **architecture, ffn_width=int(attributes["ffn_width"]), kv_heads=int(attributes["kv_heads"])
        ),
        optimization=OptimizationConfig(**optimization),
        initialization=InitializationConfig(scheme=known["init_scheme"], std=known["init_std"]),
        length=training_length(settings),
        threads=threads,
        **{name: known[name] for name in _RUN},
    )


def training_length(settings: ProxySettings) -> TrainingLength:
    """The one length that the settings give.

    Raises:
        ValueError: they give none, or more than one.
    """
    given = {unit: getattr(settings, name) for unit, name in LENGTH_SETTINGS.items()}
    amounts = [(unit, amount) for unit, amount in given.items() if amount is not None]
    if len(amounts) != 1:
        raise ValueError(f"give exactly one of {', '.join(LENGTH_SETTINGS.values())}")
    unit, amount = amounts[0]
    return TrainingLength.model_validate({"unit": unit, "amount": amount})
