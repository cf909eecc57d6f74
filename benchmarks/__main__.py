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
    """Module of this folder whose ``function()`` returns the figure, or None where it cannot be measured."""
    goal: float
    function: str = "measure"


FIGURES = (
    Figure("bf16_training_speed", "precision_speed", 1.2),
    Figure("attention_choice", "attention_choice", 0.8),
    Figure("model_flops_cpu_1m", "model_flops", 0.5, "measure_cpu"),
    Figure("model_flops_gpu_10m", "model_flops", 0.30, "measure_10m"),
    Figure("model_flops_gpu_30m", "model_flops", 0.40, "measure_30m"),
    Figure("model_flops_gpu_124m", "model_flops", 0.55, "measure_124m"),
    Figure("model_flops_gpu_300m", "model_flops", 0.60, "measure_300m"),
    Figure("against_transformers_cpu", "against_transformers", 1.5, "measure_cpu"),
    Figure("against_transformers_gpu_10m", "against_transformers", 2.0, "measure_10m"),
    Figure("against_transformers_gpu_30m", "against_transformers", 2.0, "measure_30m"),
    Figure("stacked_against_eager_gpu", "stacking", 4.0, "measure_against_eager"),
    Figure("stacked_against_graphs_gpu", "stacking", 1.5, "measure_against_graphs"),
    Figure("warm_compilation_gpu", "compilation", 10.0),
    Figure("step_share", "step_share", 0.90),
    Figure("cached_preparation", "preparation", 20.0),
    Figure("layer_importance", "layer_importance", 1 / 1.3),
    Figure("tokenizer_counting", "tokenizer_counting", 0.5),
    Figure("distilled_step", "distilled_step", 0.8),
    Figure("loss_recording", "loss_recording", 1.0),
    Figure("round_selection", "round_selection", 1.0),
    Figure("trial_overhead", "trial_overhead", 30.0),
    Figure("trial_end_to_end", "trial_overhead", 1.0, "measure_end_to_end"),
    Figure("storage_speed", "storage", 10.0),
    Figure("storage_growth", "storage", 1 / 1.2, "measure_growth"),
    Figure("curve_keeps_best", "false_stops", 0.95),
    Figure("replayed_grids_cold", "replay_grids", 1.5, "measure_cold"),
    Figure("replayed_grids_law", "replay_grids", 5.0, "measure_informed"),
    Figure("replayed_grids_law_against_constant", "replay_grids", 1.5, "measure_against_constant"),
    Figure("replayed_grids_wrong_law", "replay_grids", 0.77, "measure_wrong_law"),
    Figure("replayed_surface", "replay_surface", 3.0),
    Figure("suggestion_time", "suggestion_time", 1.0),
    Figure("chinchilla_fit", "chinchilla_fit", 1.0),
    Figure("all_formulas", "all_formulas", 1.0),
    Figure("formula_coverage", "coverage_figure", 0.92),
    Figure("validation_gate", "validation_gate", 0.95),
    Figure("steplaw_intervals", "steplaw", 1.0, "measure_intervals"),
    Figure("steplaw_left_out_loss", "steplaw", 1.0, "measure_left_out_loss"),
    Figure("steplaw_against_constant", "steplaw", 1.0, "measure_against_constant"),
    Figure("published_shapes", "published_shapes", 0.6),
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
        measure = getattr(importlib.import_module(f"benchmarks.{figure.module}"), figure.function)
        lines.append(line(figure, measure()))
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
