"""Following a campaign that runs elsewhere: a live table on a terminal, a line for each change elsewhere."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from api.client import Client
from api.terminal.campaign_report import adopted_text, winner_text
from api.terminal.consoles import printable

POLL_S = 1.0
"""Pause between two looks at a campaign (assumed: its trials take seconds to minutes)."""
GOING_ON = frozenset({"RUNNING", "PAUSED"})
Json = Mapping[str, Any]


def watch_campaign(console: Console, client: Client, campaign_id: int) -> dict[str, Any]:
    """Show a campaign until it has ended; as it is then."""
    seen = _looks(client, campaign_id)
    return _watch_live(console, seen) if console.is_terminal else _watch_plainly(console, seen)


def _looks(client: Client, campaign_id: int) -> Iterator[dict[str, Any]]:
    """The campaign as it is, again and again, up to its end."""
    while True:
        campaign = client.get_campaign(campaign_id)
        yield campaign
        if campaign["state"] not in GOING_ON:
            return
        time.sleep(POLL_S)


def _watch_live(console: Console, seen: Iterator[dict[str, Any]]) -> dict[str, Any]:
    with Live(console=console, refresh_per_second=4) as live:
        for campaign in seen:
            live.update(progress_view(campaign))
    return campaign


def _watch_plainly(console: Console, seen: Iterator[dict[str, Any]]) -> dict[str, Any]:
    said: dict[str, str] = {}
    for campaign in seen:
        for part in (*campaign["stages"], *campaign["rungs"]):
            line = part_text(part)
            if part["state"] != "WAITING" and said.get(part["name"]) != line:
                said[part["name"]] = line
                console.print(line, soft_wrap=True)
    return campaign


def part_text(part: Json) -> str:
    """A stage or a rung on one line; its trials are counted once they have ended."""
    study = "" if part["study_id"] is None else f", study {part['study_id']}"
    ended = f", {part['ended']} of {part['trials']} trials" if part["state"] in ("COMPLETED", "FAILED") else ""
    kind = "rung" if "outcome" not in part else "stage"
    won = f": {winner_text(part)}; adopted: {adopted_text(part)}" if part.get("outcome") else ""
    return f"{kind} {printable(part['name'])}{study} is {part['state']}{ended}{won}"


def progress_view(campaign: Json) -> RenderableType:
    """A bar for each stage and rung."""
    progress = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[said]}")
    )
    for part in (*campaign["stages"], *campaign["rungs"]):
        won = f"{winner_text(part)}  {adopted_text(part)}" if part.get("outcome") else str(part["state"])
        total = max(int(part["trials"]), 1)
        progress.add_task(printable(part["name"]), total=total, completed=part["ended"], said=won)
    return Group(f"campaign {campaign['id']} is {campaign['state']}", progress)
