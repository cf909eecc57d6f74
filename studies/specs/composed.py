"""What samplers that have another one below them need of a study."""

from model.errors import InvalidInput
from search.constraints import Budget, Limit
from search.samplers.cascade import families
from search.samplers.zero_cost import architecture_names
from search.space import Space
from studies.spec import StudySpec
from studies.specs.sampler_checks import check_search

SIZES = ("total_parameters", "non_embedding_parameters", "memory")
"""Quantities that limit the size of a network."""


def check_composed_sampler(spec: StudySpec, space: Space) -> None:
    """Check what a cascade chooses among, that zero_cost has a size limit, and the sampler below either.

    Raises:
        InvalidInput: the first contradiction.
    """
    if spec.sampler.kind == "cascade":
        for _, part in families(space, spec.sampler.family or ()):
            _check_below(spec, part)
    elif spec.sampler.kind == "zero_cost":
        architecture_names(space)
        if not any(_has_upper_end(spec.constraints.quantities.get(name)) for name in SIZES):
            raise InvalidInput(
                "sampler.kind",
                "zero_cost maximises FLOPs, which without a size limit makes the largest network",
                f"give one of {', '.join(SIZES)} a target or a high in constraints, or use another sampler",
            )
        _check_below(spec, space)


def _has_upper_end(said: object) -> bool:
    return isinstance(said, Budget) or (isinstance(said, Limit) and said.high is not None)


def _check_below(spec: StudySpec, part: Space) -> None:
    assert spec.sampler.below is not None  # a validator of the sampler has filled it
    check_search(spec.sampler.below, part, -(-spec.max_trial_count // len(part.inner_points)), "sampler.below")
