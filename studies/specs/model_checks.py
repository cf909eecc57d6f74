"""What a spec says about other networks: a parent to inherit from, a teacher, and weights that are kept for others."""

from collections.abc import Iterator

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from model.inheritance.shapes import check_inheritable
from search.proxy import architecture_config
from search.space import Space
from search.space.summary import looked_at_all
from studies.spec import StudySpec, declared_values, vocabulary_sizes

INHERITING = ("inherit_method", "inherit_layers")
"""Parameters that say how a parent is inherited."""
OF_NETWORK = frozenset({*ArchitectureConfig.model_fields, "ffn_ratio", *INHERITING})
"""Parameters on which a network's shape, or what it inherits, depends."""
MAX_KEPT_BYTES = 64 * 2**30
"""Most bytes of weights that one study may keep (assumed: a part of a disk; 16 000 networks of 10⁶ parameters)."""
BYTES_PER_PARAMETER = 4
"""Kept weights are float32 (``model.hf.write_hf_folder``)."""
PARENT, TEACHER, KEPT = "inherit.parent", "teacher.model", "proxy.keep_weights"


def check_models(spec: StudySpec, space: Space) -> None:
    """Check what can be known of parent, teacher and kept weights without looking at them.

    Raises:
        InvalidInput: a parameter of inheritance without a parent; others train; blocks or a parametrisation that are
            not inherited, or that ``transformers`` has no class for; more weights than a study may keep.
    """
    _check_parent_given(spec)
    _check_trained_here(spec)
    if spec.inherit is not None:
        _refuse_value(spec, "init_scheme", "mup", "under muP's multipliers the parent's weights are another function")
        _refuse_value(spec, "block", "pangu_pi", "PanGu-π's blocks have weights that no parent has")
    if spec.proxy.keep_weights:
        _refuse_value(spec, "block", "pangu_pi", "kept weights are a transformers folder, which has no class for it")
        _check_kept_bytes(spec, space)


def check_parent(spec: StudySpec, space: Space, parent: ArchitectureConfig) -> None:
    """Check that the networks of a space can start from a parent: each declared dimension, and what follows from them
    at the points that are looked at. What only a trial can know makes that trial infeasible.

    Raises:
        InvalidInput: a network is larger than the parent in a dimension, or of another kind; names the parameter where
            the spec gives it.
    """
    for name in ("depth", "width", "kv_heads"):
        _check_dimension(spec, space, name, getattr(parent, name))
    _check_head_dim(spec, parent.head_dim)
    settings = spec.trial_settings
    for point in looked_at_all(space, OF_NETWORK):
        if point.values.get("inherit_method", settings.inherit_method) != "none":
            check_inheritable(parent, architecture_config(settings, point.values, point.attributes), PARENT)


def check_teacher(spec: StudySpec, teacher: ArchitectureConfig) -> None:
    """Check that a teacher reaches over the trials' sequences, and that it can have all of their tokens.

    Its width, depth and heads are its own affair. Whether the tokens are the same ones only a trial knows, which has a
    tokenizer; it is infeasible where a token has no counterpart.

    Raises:
        InvalidInput: it does not; names the parameter.
    """
    field, lengths = declared_values(spec, "sequence_length")
    if max(lengths) > teacher.sequence_length:
        reason = f"reaches {max(lengths)}, and the teacher was made for {teacher.sequence_length} tokens"
        raise InvalidInput(field, reason, f"give at most {teacher.sequence_length}, or another teacher")
    field, (_, largest) = vocabulary_sizes(spec)
    if largest > teacher.vocabulary_size:
        reason = f"reaches {largest}, and the teacher knows {teacher.vocabulary_size} tokens"
        raise InvalidInput(field, reason, f"give at most {teacher.vocabulary_size}, or another teacher")


def _check_parent_given(spec: StudySpec) -> None:
    for name in INHERITING:
        section = "space" if name in spec.space else "inner"
        if spec.inherit is None and name in getattr(spec, section):
            remedy = "add inherit: {parent: {kind: folder, path: …}} or {kind: trial, study: …}, or leave it out"
            raise InvalidInput(f"{section}.{name}", "there is no parent to inherit from", remedy)


def _check_trained_here(spec: StudySpec) -> None:
    if spec.execution != "external":
        return
    asked = {"inherit": spec.inherit is not None, "teacher": spec.teacher is not None, KEPT: spec.proxy.keep_weights}
    for field, is_asked in asked.items():
        if is_asked:
            reason = "the trials of an external study are trained elsewhere, where these weights are not"
            raise InvalidInput(field, reason, "leave it out, or write execution: ray")


def _refuse_value(spec: StudySpec, name: str, value: str, reason: str) -> None:
    field, values = declared_values(spec, name)
    if value in values:
        raise InvalidInput(field, f"is {value}: {reason}", "use another value")


def _check_kept_bytes(spec: StudySpec, space: Space) -> None:
    largest = max(int(point.attributes["total_parameters"]) for point in looked_at_all(space, OF_NETWORK))
    kept = spec.max_trial_count * largest * BYTES_PER_PARAMETER
    if kept > MAX_KEPT_BYTES:
        most = MAX_KEPT_BYTES // (largest * BYTES_PER_PARAMETER)
        reason = (
            f"{spec.max_trial_count} networks of up to {largest} parameters are {kept / 2**30:.0f} GiB of weights, "
            f"and a study keeps at most {MAX_KEPT_BYTES // 2**30} GiB"
        )
        remedy = f"give a max_trial_count of at most {most}, " if most else ""
        raise InvalidInput(KEPT, reason, f"{remedy}or train the few networks to be kept in a study of their own")


def _check_dimension(spec: StudySpec, space: Space, name: str, most: int) -> None:
    largest = max(_declared(spec, space, name), default=0)
    if largest > most:
        field, _ = declared_values(spec, name)
        reason = f"reaches {largest}, and the parent has {most}: a parent is at least as large in every dimension"
        raise InvalidInput(field, reason, f"give at most {most}, or a larger parent")


def _check_head_dim(spec: StudySpec, head_dim: int) -> None:
    field, values = declared_values(spec, "head_dim")
    other = next((value for value in values if value != head_dim), None)
    if other is not None:
        reason = (
            f"is {other}, and the parent's heads have {head_dim} channels, whose rotations follow from their number"
        )
        raise InvalidInput(field, reason, f"write head_dim: {head_dim}, or give another parent")


def _declared(spec: StudySpec, space: Space, name: str) -> Iterator[int]:
    """Values of a dimension that some network has, as far as they are declared: its largest one among them."""
    solved = spec.constraints.solved
    if solved is not None and solved[1].solve_for == name:
        return
    _, values = declared_values(spec, name)
    left_out = set(space.excluded.get(name, ()))
    yield from (int(value) for value in values if value is not None and value not in left_out)
