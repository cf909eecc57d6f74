"""Campaigns in a terminal: what they will train and cost, how far their stages are, what was adopted."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from api.campaign_words import choice, chosen_text, nothing_adopted
from api.terminal.consoles import printable, short, short_parameters
from api.terminal.ladder_report import print_ladder
from api.terminal.tables import plain_table

Json = Mapping[str, Any]


def print_plan(console: Console, plan: Json) -> None:
    """Print the stages, the rungs and the cost of a campaign."""
    table = plain_table(("stage", "adopts", "trials", "training FLOPs"))
    for stage in plan["stages"]:
        adopts = ", ".join(map(printable, stage["adopt"]))
        table.add_row(stage["name"], adopts, f"{stage['trials']:,}", f"{stage['train_flops']:.3g}")
    for rung in plan["rungs"]:
        table.add_row(f"rung: {printable(rung['label'])}", "", f"{rung['runs']:,}", f"{rung['train_flops']:.3g}")
    console.print(table)
    cost = f"{plan['trials']:,} trials, {plan['train_flops']:.3g} training FLOPs"
    console.print(f"\n{printable(plan['name'])}: {cost}", soft_wrap=True)
    for stage in plan["stages"]:
        if not stage["compares_current"] and stage["adopt"]:
            reason = "does not try the setting it starts from: its winner is adopted without a comparison with that"
            console.print(f"warning: stage {stage['name']} {reason}", soft_wrap=True)
        for warning in stage["warnings"]:
            console.print(f"warning: stage {stage['name']}: {printable(warning)}", soft_wrap=True)


def print_campaign(console: Console, campaign: Json, ladder: Json) -> None:
    """Print how far a campaign is: why it ended, its stages with their winners, its rungs, what each step brought."""
    head = f"campaign {campaign['id']}: {printable(campaign['name'])}, {campaign['state']}"
    console.print(head, style="bold", soft_wrap=True)
    if campaign["error"]:
        console.print(f"error: {printable(campaign['error'])}", soft_wrap=True)
    console.print()
    console.print(stage_table(campaign))
    console.print()
    if campaign["rungs"] and campaign["state"] != "COMPLETED":
        console.print(rung_table(campaign))
        console.print()
    print_ladder(console, ladder)


def campaign_table(campaigns: Iterable[Json]) -> Table:
    """One line a campaign."""
    table = plain_table(("id", "name", "state", "created", "error"))
    for one in campaigns:
        cells = (one["id"], one["name"], one["state"], one["created_at"][:16], one["error"] or "")
        table.add_row(*(printable(str(cell)) for cell in cells))
    return table


def stage_table(campaign: Json) -> Table:
    """One line a stage."""
    table = plain_table(("stage", "study", "state", "trials", "winner", "adopted"))
    for stage in campaign["stages"]:
        table.add_row(*_progress(stage), winner_text(stage), adopted_text(stage))
    return table


def rung_table(campaign: Json) -> Table:
    """One line a rung of the ladder."""
    table = plain_table(("rung", "study", "state", "runs"))
    for rung in campaign["rungs"]:
        table.add_row(*_progress(rung))
    return table


def winner_text(stage: Json) -> str:
    """The winner of a stage, e.g. ``bits_per_byte 2.41 (mean of 3 fresh seeds)``; empty before there is one."""
    if stage["outcome"] is None:
        return ""
    winner = stage["outcome"]["winner"]
    how = chosen_text(winner["rule"], winner["runs"]) or f"trial {winner['trial']}"
    return f"{winner['metric']} {short(winner['value'])} ({how})"


def adopted_text(stage: Json) -> str:
    """What changed by a stage, e.g. ``depth=4 width=96``."""
    if stage["outcome"] is None:
        return ""
    adopted = stage["outcome"]["adopted"]
    if not adopted:
        return nothing_adopted(stage["outcome"]["winner"]["current"])
    return short_parameters({name: choice(value) for name, value in adopted.items()})


def _progress(part: Json) -> tuple[str, str, str, str]:
    study = "" if part["study_id"] is None else str(part["study_id"])
    return printable(part["name"]), study, part["state"], f"{part['ended']}/{part['trials']}"
