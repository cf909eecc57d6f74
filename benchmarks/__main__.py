"""Measure the figures of docs/benchmarks.md: ratios of two things measured in one run, and rates from 0 to 1.

``make bench`` runs all of them and ends with a line for each; ``make bench FIGURE=name`` runs one.
"""

import importlib
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A number that should not fall below its goal."""

    name: str
    module: str
    """Module of this folder whose ``measure()`` returns the figure, or None where it cannot be measured."""
    goal: float


FIGURES = (
    Figure("bf16_training_speed", "precision_speed", 1.2),
    Figure("attention_choice", "attention_choice", 0.8),
    Figure("cached_preparation", "preparation", 20.0),
    Figure("trial_overhead", "trial_overhead", 30.0),
    Figure("formula_coverage", "coverage_figure", 0.92),
    Figure("api_start", "api_start", 1.0),
    Figure("post_to_first_step", "first_step", 1.0),
    Figure("read_latency", "read_latency", 1.0),
)


def line(figure: Figure, value: float | None) -> str:
    """The closing line of a figure; its form is read by other programs."""
    if value is None:
        return f"figure {figure.name}: - (goal >= {figure.goal:g}) not measured here"
    verdict = "ok" if value >= figure.goal else "short"
    return f"figure {figure.name}: {value:.3g} (goal >= {figure.goal:g}) {verdict}"


def main(names: list[str]) -> int:
    """Measure the named figures, or all; 2 for an unknown name."""
    known = {figure.name: figure for figure in FIGURES}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no figure is named {unknown[0]!r}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    lines = []
    for figure in [known[name] for name in names] or FIGURES:
        print(f"-- {figure.name}", flush=True)
        lines.append(line(figure, importlib.import_module(f"benchmarks.{figure.module}").measure()))
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
