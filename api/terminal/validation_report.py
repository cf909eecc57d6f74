"""Validations in a terminal: what they will train and cost, and what came of it."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from api.terminal.consoles import printable, short
from api.terminal.tables import plain_table
from studies.validation.judgement import TITLES

Json = Mapping[str, Any]


def print_plan(console: Console, plan: Json) -> None:
    """Print sizes, candidates and the cost of a validation."""
    console.print(_size_table(plan))
    console.print()
    console.print(_candidate_table(plan["rungs"][-1]))
    console.print()
    console.print(
        f"{plan['runs']} runs, {plan['train_flops']:.3g} training FLOPs{_compared(plan)}{_time(plan)}; "
        f"passes with a regret of at most {short(plan['margin'])} bits per byte",
        soft_wrap=True,
    )
    for warning in plan["warnings"]:
        console.print(f"warning: {printable(warning)}", soft_wrap=True)


def print_validation(console: Console, validation: Json) -> None:
    """Print every candidate at every size, the regret with its bounds, and the verdict with its reasons."""
    judgement = validation["judgement"]
    console.print(_result_table(validation))
    console.print()
    console.print(_regret_table(validation))
    console.print()
    for line in _conclusion(judgement, validation["plan"]):
        console.print(printable(line), soft_wrap=True)


def validation_table(validations: Iterable[Json]) -> Table:
    """One line a validation."""
    table = plain_table(("id", "state", "verdict", "largest size", "regret", "at most", "margin", "created"))
    for one in validations:
        judgement, rungs = one["judgement"], one["plan"]["rungs"]
        regret = judgement["regret"] or {}
        cells = (one["id"], one["state"], judgement["verdict"] or "", f"{rungs[-1]['total_parameters']:,}")
        numbers = (_number(regret.get("estimate")), _number(regret.get("high")), _number(judgement["margin"]))
        table.add_row(*map(str, cells), *numbers, one["created_at"][:16])
    return table


def _size_table(plan: Json) -> Table:
    table = plain_table(("parameters", "tokens a run", "candidates", "seeds", "training FLOPs"))
    for rung in plan["rungs"]:
        points = {candidate["point"] for candidate in rung["candidates"]}
        cells = (f"{rung['total_parameters']:,}", f"{rung['tokens']:,}", str(len(points)), str(len(rung["seeds"])))
        table.add_row(*cells, f"{rung['train_flops']:.3g}")
    return table


def _candidate_table(rung: Json) -> Table:
    size = f"at {rung['total_parameters']:,} parameters"
    table = plain_table((size, "depth", "width", "FFN width", "learning rate", "batch tokens", "weight decay"))
    for candidate in rung["candidates"]:
        shape = (str(candidate[name]) for name in ("depth", "width", "ffn_width"))
        rates = (short(candidate[name]) for name in ("learning_rate", "batch_tokens", "weight_decay"))
        table.add_row(TITLES[candidate["name"]], *shape, *rates)
    return table


def _compared(plan: Json) -> str:
    spent = plan["study_flops"]
    return f", {plan['train_flops'] / spent:.2g} times what the study spent" if spent else ""


def _time(plan: Json) -> str:
    seconds = plan["device_seconds"]
    if seconds is None:
        return ""
    amount, unit = (seconds / 3600, "hours") if seconds >= 7200 else (seconds / 60, "minutes")
    return f", about {amount:.2g} {unit} one after the other at the speed of its trials"


def _result_table(validation: Json) -> Table:
    table = plain_table(("parameters", "candidate", "runs", "bits per byte", "recipe − rival", "95 % interval", ""))
    for rung in validation["judgement"]["rungs"]:
        differences = {row["rival"]: row for row in rung["differences"]}
        for place, result in enumerate(rung["candidates"]):
            size = f"{rung['total_parameters']:,}" if place == 0 else ""
            compared = differences.get(result["name"])
            table.add_row(size, TITLES[result["name"]], _runs(result), _number(result["mean"]), *_difference(compared))
    return table


def _runs(result: Json) -> str:
    words = [f"{result[name]} {name}" for name in ("diverged", "missing") if result[name]]
    return ", ".join([str(result["runs"]), *words])


def _difference(row: Json | None) -> tuple[str, str, str]:
    if row is None:
        return "", "", ""
    bounds = row["difference"]
    words = {"better": "recipe better", "worse": "recipe worse", "noise": "within noise"}
    return _signed(bounds["estimate"]), f"{_signed(bounds['low'])} to {_signed(bounds['high'])}", words[row["sign"]]


def _regret_table(validation: Json) -> Table:
    table = plain_table(("parameters", "best rival", "regret", "at least", "at most (95 %)"))
    for rung in validation["judgement"]["rungs"]:
        regret = rung["regret"]
        if regret is not None:
            numbers = (_signed(regret[name]) for name in ("estimate", "low", "high"))
            table.add_row(f"{rung['total_parameters']:,}", TITLES[rung["best_rival"]], *numbers)
    return table


def _conclusion(judgement: Json, plan: Json) -> Iterable[str]:
    noise = judgement["noise"]
    if noise is not None:
        yield f"noise between seeds: {short(noise)} bits per byte; margin {short(judgement['margin'])}"
    carried = judgement["regret_at_target"]
    if carried is not None:
        factor = plan["total_parameters"] / plan["rungs"][-1]["total_parameters"]
        interval = f"{_signed(carried['low'])} to {_signed(carried['high'])}"
        yield f"regret along straight lines at the target, ×{factor:.3g} as large: {interval} (an extrapolation)"
    yield f"verdict: {judgement['verdict'] or 'not yet'}"
    yield from (f"- {reason}" for reason in judgement["reasons"])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _signed(value: float) -> str:
    return f"{value:+.4f}"
