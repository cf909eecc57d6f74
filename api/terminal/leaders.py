"""What is said of leaders that were trained again on fresh seeds."""

from typing import Any

from rich.console import Console

from api.terminal.consoles import short

Json = dict[str, Any]


def print_leaders(console: Console, best: Json, metric: str) -> None:
    """Print the leaders after the first, and how that one compares with the second."""
    for leader in best["leaders"][1:]:
        console.print(f"  then trial {leader['number']}: {metric} {leader_text(leader)}", soft_wrap=True)
    if best["comparison"]:
        console.print(f"  {_comparison_text(best['comparison'])}", soft_wrap=True)


def leader_text(leader: Json) -> str:
    """A leader's mean on fresh seeds in words."""
    error = leader["standard_error"]
    spread = f" ± {short(error)}" if error is not None else ""
    failed = f"; {leader['failed']} more ended without a value" if leader["failed"] else ""
    return f"{leader['mean']:.5g}{spread} (mean on {len(leader['values'])} fresh seeds ± its standard error{failed})"


def _comparison_text(comparison: Json) -> str:
    """Whether the winner is one beyond noise, in words."""
    interval = f"{short(comparison['low'])} to {short(comparison['high'])} at {100 * comparison['level']:g} %"
    verdict = "beyond noise" if comparison["beyond_noise"] else "within noise: more seeds could change the winner"
    gain = short(comparison["difference"])
    return f"better than trial {comparison['runner_up']} by {gain} ({interval}), {verdict}"
