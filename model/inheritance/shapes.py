"""Whether a network can start from a larger one, decided by their shapes alone, before anything is read; no torch."""

from model.config import ArchitectureConfig
from model.errors import InvalidInput

FIELD = "inherit.parent"


def check_inheritable(parent: ArchitectureConfig, student: ArchitectureConfig, field: str = FIELD) -> None:
    """Check that every weight of the student has a counterpart in the parent.

    Sequence length, masks between documents, ``norm_eps`` and the tying of the head may differ: no weight depends on
    the first three, and both kinds of head are copied from both (``model.inheritance.copying``). Vocabularies are
    mapped, not compared (``model.inheritance.vocabulary``).

    Raises:
        InvalidInput: names the dimension, and what the student would have to be.
    """
    _check_kind(parent, student, field)
    for name in ("head_dim", "rope_theta", "qk_norm"):
        _check_equal(name, parent, student, field)
    for name in ("depth", "width", "ffn_width", "kv_heads"):
        _check_not_smaller(name, getattr(parent, name), getattr(student, name), field)
    _check_groups(parent, student, field)


def _check_kind(parent: ArchitectureConfig, student: ArchitectureConfig, field: str) -> None:
    for whose, config in (("has", parent), ("is for a network with", student)):
        if config.block != "llama":
            raise InvalidInput(field, f"{whose} {config.block} blocks, which are not inherited", "use block: llama")
        if config.parametrisation != "standard":
            reason = f"{whose} muP's multipliers, under which the same weights are another function"
            raise InvalidInput(field, reason, "use another init_scheme than mup")


_WHY_EQUAL = {
    "head_dim": "RoPE rotates the channels of a head by angles that follow from their number",
    "rope_theta": "queries and keys are made for the parent's rotations",
    "qk_norm": "queries and keys that are normed are others than those that are not",
}


def _check_equal(name: str, parent: ArchitectureConfig, student: ArchitectureConfig, field: str) -> None:
    values = [getattr(config, name) for config in (parent, student)]
    if values[0] != values[1]:
        theirs, ours = map(_spelled, values)
        reason = f"has {name} {theirs}, the network {ours}: {_WHY_EQUAL[name]}"
        raise InvalidInput(field, reason, f"give the network {name}: {theirs}, or another parent")


def _spelled(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:.15g}"


def _check_not_smaller(name: str, parent: int, student: int, field: str) -> None:
    if parent < student:
        reason = f"has {name} {parent}, the network {student}: a parent is at least as large in every dimension"
        raise InvalidInput(field, reason, f"give the network at most {name}: {parent}, or a larger parent")


def _check_groups(parent: ArchitectureConfig, student: ArchitectureConfig, field: str) -> None:
    group, needed = parent.heads // parent.kv_heads, student.heads // student.kv_heads
    if needed <= group:
        return
    fitting = (k for k in range(1, parent.kv_heads + 1) if student.heads % k == 0 and student.heads // k <= group)
    least = next(fitting, None)
    reason = f"has {group} query heads to each key head, the network {needed}: there is no weight for the others"
    others = f"another width: no number of key heads divides its {student.heads} heads so"
    raise InvalidInput(field, reason, f"give the network {others if least is None else f'kv_heads: {least}'}")
