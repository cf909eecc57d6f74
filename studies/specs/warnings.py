"""What is legal in a spec and still may not be what its author meant."""

from collections.abc import Iterator

from search.space import Space
from studies.spec import StudySpec, build_space
from studies.specs.rounds_checks import rounds_warnings
from studies.specs.scheduler_checks import scheduler_warnings

RARE = 0.01
"""Acceptance below which a space is mostly outside of its constraints (assumed)."""
MAX_LISTED = 8
"""Most values that a warning lists."""


def spec_warnings(spec: StudySpec) -> list[str]:
    """One line for each thing that a run of ``spec`` leaves out, or does unasked."""
    space = build_space(spec)
    found = [*_excluded(space), *_acceptance(space), *_trial_count(spec, space)]
    return [*found, *scheduler_warnings(spec), *_bowl_under_asha(spec), *rounds_warnings(spec)]


def _excluded(space: Space) -> Iterator[str]:
    for name, values in space.excluded.items():
        listed = ", ".join(map(str, values[:MAX_LISTED]))
        more = f" and {len(values) - MAX_LISTED} more" if len(values) > MAX_LISTED else ""
        yield f"space.{name}: {listed}{more} fit no legal network or batch, or a constraint, and will not be tried"


def _acceptance(space: Space) -> Iterator[str]:
    rate = space.acceptance.rate
    if rate < RARE:
        yield (
            f"constraints: {rate:.2%} of the points drawn from the space satisfy those over continuous parameters; "
            "narrow the space around them"
        )


def _trial_count(spec: StudySpec, space: Space) -> Iterator[str]:
    count, inner = spec.max_trial_count - spec.seeds.reserved, len(space.inner_points)
    grid = spec.sampler.kind == "grid"
    size = None if spec.allow_duplicates and not grid else space.size
    holds = f"the {'grid' if grid else 'space'} has {(size or 0) * inner} trials"
    if size is not None and size * inner < count:
        yield f"max_trial_count: {holds}, so that the study ends before {spec.max_trial_count}"
        return
    if grid and size is not None and size * inner > count:
        yield f"max_trial_count: {holds}, of which {size * inner - count} will not be run"
    if count % inner:
        yield (
            f"max_trial_count: {count} is no multiple of the {inner} inner points, so that the last point of the space "
            f"is trained at {count % inner} of them; give {spec.max_trial_count - count % inner + inner}"
        )


def _bowl_under_asha(spec: StudySpec) -> Iterator[str]:
    """Measured: docs/benchmarks.md, "Which sampler"."""
    if spec.sampler.kind == "bowl" and spec.scheduler.kind == "asha":
        yield (
            "sampler.kind: bowl comes to the best points early, where asha has little to compare with and may stop "
            "them; use tpe with asha, or none or curve with bowl"
        )
