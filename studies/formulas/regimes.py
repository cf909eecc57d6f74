"""How runs were trained, as far as a law depends on it: laws are not transferred from one regime to another."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from search.events import Value
from studies.formulas.observations import Observation

NAMES = ("parametrisation", "schedule", "final_learning_rate_ratio", "decay_mode", "optimizer")
"""Attributes of a regime: the best rate of a cosine is not that of a constant schedule, coupled weight decay scales
with the rate, and under muP a rate means something else (arXiv 2203.03466)."""
OTHER_NETWORKS = ("parent_fingerprint", "teacher_fingerprint")
"""A run that states none of one has none."""
TRAINED_ALIKE = (
    "inherit_method",
    "inherit_layers",
    "distillation_weight",
    "distillation_temperature",
    "rounds",
    "sampling_rate",
    "round_selection",
    "round_losses",
)
"""Of runs that were inherited, distilled or trained in rounds alike; not compared where a study varies it."""
SHARED = (*NAMES[1:], "corpus_fingerprint", *OTHER_NETWORKS, *TRAINED_ALIKE)
"""What studies that are fitted together must have in common; each parametrisation has laws of its own."""
Regime = tuple[Value | None, ...]
"""A value for each of ``NAMES``; None where no run of a table states it."""


def by_regime(observations: Sequence[Observation]) -> dict[Regime, list[Observation]]:
    """Split runs by regime, in the order in which the regimes appear; see ``completed`` for runs that failed."""
    groups: dict[Regime, list[Observation]] = defaultdict(list)
    for row in completed(observations):
        groups[tuple(row.attributes.get(name) for name in NAMES)].append(row)
    return dict(groups)


def completed(observations: Sequence[Observation]) -> list[Observation]:
    """Runs with their whole regime.

    A run that failed before it reported its own is of the parametrisation of the initialisation that it was asked for;
    beyond that it is of the study's only regime, or of its first where there are several.
    """
    rows = [replace(row, attributes={**row.attributes, **_asked(row)}) for row in observations]
    sole = {name: next((row.attributes[name] for row in rows if name in row.attributes), None) for name in NAMES}
    under = {row.attributes["parametrisation"] for row in rows if "parametrisation" in row.attributes}
    sole["parametrisation"] = "mup" if under == {"mup"} else "standard"
    known = {name: value for name, value in sole.items() if value is not None}
    return [replace(row, attributes={**known, **row.attributes}) for row in rows]


def described(regime: Regime) -> dict[str, Value]:
    """What is known of a regime, by name."""
    return {name: value for name, value in zip(NAMES, regime, strict=True) if value is not None}


def distinguishing(regime: Regime, others: Sequence[Regime]) -> dict[str, Value]:
    """The names and values that tell a regime from others; the standard parametrisation is not named."""
    return {
        name: value
        for place, (name, value) in enumerate(zip(NAMES, regime, strict=True))
        if value not in (None, "standard") and (value == "mup" or any(other[place] != value for other in others))
    }


def _asked(row: Observation) -> dict[str, Value]:
    """The parametrisation that a run's initialisation implies."""
    scheme = row.parameters.get("init_scheme")
    if scheme is None and "parametrisation" not in row.attributes:
        return {}
    said = row.attributes.get("parametrisation")
    return {"parametrisation": "mup" if "mup" in (said, scheme) else "standard"}
