"""Which runs may train side by side as one program; no torch."""

from collections.abc import Sequence

from model.errors import InvalidInput
from trainer.config import ProxyConfig

STACKABLE_NAMES = frozenset(
    {"learning_rate", "weight_decay", "seed", "init_scheme", "init_std", "inherit_method", "inherit_layers"}
)
"""Standard parameters in which the members of a stack may differ: they leave every shape, product and step alike. How a
member inherits changes its initial weights alone, which are made before the stack is."""


def check_stack(configs: Sequence[ProxyConfig]) -> None:
    """Check that the configs differ in ``STACKABLE_NAMES`` only.

    Raises:
        InvalidInput: they differ elsewhere.
    """
    first = _shared(configs[0])
    for config in configs[1:]:
        different = sorted(name for name, value in _shared(config).items() if value != first[name])
        if different:
            reason = f"members of one stack differ in {', '.join(different)}"
            raise InvalidInput("stack", reason, f"let them differ in {', '.join(sorted(STACKABLE_NAMES))} only")


def _shared(config: ProxyConfig) -> dict[str, object]:
    start = {"seed": True, "initialization": True, "inheritance": True}
    fields = config.model_dump(exclude={**start, "optimization": set(STACKABLE_NAMES)})
    optimization = fields.pop("optimization")
    return {**fields, **optimization}
