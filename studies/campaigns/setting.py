"""What a campaign has adopted so far: the proxy section, the network, and the models that its next runs start from."""

from collections.abc import Mapping
from typing import Any, Literal

from model.config import FrozenConfig
from model.counts import count_parameters
from search.events import Value
from search.proxy import architecture_config
from studies.spec import StudySpec
from trainer.config import ProxySettings

NETWORK = frozenset(
    {"block", "depth", "width", "vocabulary_size", "ffn_ratio", "head_dim", "kv_heads", "tied_head", "qk_norm"}
)
"""Fields of a ``proxy`` section that make the network; they are adopted together."""
INHERITANCE = frozenset({"inherit", "inherit_method", "inherit_layers"})
"""Names by which a stage adopts its section ``inherit``, as the winner has it."""
TEACHER = "teacher"
"""Name by which a stage adopts its section of that name."""


class Setting(FrozenConfig):
    """What the next stage starts from, and what a rung trains."""

    proxy: dict[str, Any]
    """The baseline's section with what was adopted."""
    total_parameters: int
    """Of the network: by it the very FFN width is found again, which the ratio alone would round."""
    ffn_ratio_asked: float
    """The ratio that was asked for, where that of ``proxy`` is the one that the network came to: stages that vary the
    network ask for it again, so that what a budget left over in one does not become the aim of the next."""
    inherit: dict[str, Any] | None = None
    teacher: dict[str, Any] | None = None


class Winner(FrozenConfig):
    """The best setting of a stage; how it is chosen, ``studies.campaigns.winner`` says."""

    trial: int
    """A trial that has it: the one by which it became a leader, or the one on the first seed."""
    rule: Literal["fresh_seeds", "mean_over_seeds", "knee"]
    metric: str
    value: float
    """Of the metric: the mean over ``runs`` seeds."""
    runs: int
    parameters: dict[str, Value]
    """What the study varies and solves, without the seed."""
    current: bool | None = None
    """Whether it is the point that the stage started from; None where the study does not have that point."""


class Outcome(FrozenConfig):
    """What came of a stage; it stays as it is, whatever happens to the stage's study."""

    winner: Winner
    adopted: dict[str, Any]
    """Fields of the proxy section, and sections, that changed by it."""
    setting: Setting
    """With which the campaign goes on."""


def network_of(
    spec: StudySpec, parameters: Mapping[str, Value], attributes: Mapping[str, Value]
) -> tuple[dict[str, Any], int]:
    """The network of one run of a study as fields of a proxy section, solved values included, and its parameters.

    ``kv_heads`` stays open where the run leaves it open, so that later stages may vary the number of heads.
    """
    network = architecture_config(spec.trial_settings, parameters, attributes)
    fields = {name: getattr(network, name) for name in sorted(NETWORK)}
    fields["kv_heads"] = parameters.get("kv_heads", spec.proxy.kv_heads)
    return fields, count_parameters(network).total


def adopt(
    setting: Setting, names: tuple[str, ...], spec: StudySpec, winner: Winner, attributes: Mapping[str, Value]
) -> Outcome:
    """What a campaign goes on with after a stage.

    Args:
        setting: what the stage started from.
        names: what it adopts.
        spec: of its study.
        winner: of its study.
        attributes: of the winner's trial.
    """
    fields: dict[str, Any] = {}
    total_parameters, asked = setting.total_parameters, setting.ffn_ratio_asked
    sections = {"inherit": setting.inherit, "teacher": setting.teacher}
    for name in names:
        if name in NETWORK:
            network, total_parameters = network_of(spec, winner.parameters, attributes)
            fields |= network
            asked = float(attributes["ffn_ratio_asked"])
        elif name in INHERITANCE:
            sections["inherit"] = _inheritance(spec, winner.parameters)
        elif name == TEACHER:
            sections["teacher"] = None if spec.teacher is None else spec.teacher.model_dump(mode="json")
        else:
            fields[name] = winner.parameters.get(name, getattr(spec.proxy, name))
    proxy = {**setting.proxy, **fields}
    further = Setting(proxy=proxy, total_parameters=total_parameters, ffn_ratio_asked=asked, **sections)
    return Outcome(winner=winner, adopted=_changes(setting, further), setting=further)


def _inheritance(spec: StudySpec, parameters: Mapping[str, Value]) -> dict[str, Any] | None:
    """The section ``inherit`` as one run has it; None where it inherits nothing."""
    if spec.inherit is None:
        return None
    method = parameters.get("inherit_method", spec.inherit.neurons)
    layers = parameters.get("inherit_layers", spec.inherit.layers)
    return None if method == "none" else {**spec.inherit.model_dump(mode="json"), "neurons": method, "layers": layers}


def _changes(before: Setting, after: Setting) -> dict[str, Any]:
    defaults = ProxySettings.model_fields
    fields = {
        name: value for name, value in after.proxy.items() if value != before.proxy.get(name, defaults[name].default)
    }
    sections = {name: getattr(after, name) for name in ("inherit", "teacher")}
    return fields | {name: value for name, value in sections.items() if value != getattr(before, name)}
