"""What a campaign that comes with Formulary would cost: trials, FLOPs and H200-hours of every stage and rung.

    python -m benchmarks.campaign_cost paper [UTILISATION]

The FLOPs are those of ``formulary campaign create preset:NAME --plan``: of the baseline's network where a stage does
not vary it, without evaluations and the scoring of inherited units.
"""

import sys

from studies.campaigns.parsing import parse_campaign
from studies.campaigns.presets import load_preset
from studies.service.campaigns import plan_of

H200_FLOPS = 989e12
"""Dense bfloat16 products of one H200 a second (its data sheet)."""
UTILISATION = 0.4
"""Share of it that training reaches (assumed: what large dense models reach; small ones do not)."""
ASSUMED = {"paper-cpu": 0.1, "paper-gpu": 0.1}
"""Of the smaller campaigns, likewise assumed: their products do not fill a GPU."""


def main(name: str, utilisation: float) -> None:
    """Print a table of the campaign."""
    plan = plan_of(parse_campaign(load_preset(name)))
    rows = [(stage.name, stage.trials, stage.train_flops) for stage in plan.stages]
    rows += [(f"rung {rung.label}", rung.runs, rung.train_flops) for rung in plan.rungs]
    rows.append(("all", plan.trials, plan.train_flops))
    print(f"| {name} | trials | FLOPs | H200-hours at {utilisation:.0%} of {H200_FLOPS / 1e12:.0f} TFLOP/s |")
    print("| --- | --- | --- | --- |")
    for label, trials, flops in rows:
        print(f"| {label} | {trials} | {flops:.3g} | {flops / (H200_FLOPS * utilisation) / 3600:,.3g} |")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else ASSUMED.get(sys.argv[1], UTILISATION))
