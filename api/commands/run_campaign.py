"""``formulary run`` of a campaign: all of its studies in this process, one after the other."""

import time
from typing import Any

import typer

from api.client import Client, LocalApplication
from api.commands.campaign import check_ending
from api.commands.run import INTERRUPTED, POLL_S, RUNNABLE_STUDIES, drive
from api.terminal.campaign_report import print_campaign, print_plan
from api.terminal.campaign_watching import part_text
from api.terminal.consoles import messages, printable, results

Json = dict[str, Any]


def run_campaign(application: LocalApplication, request: Json, home: str) -> None:
    """Create a campaign, or go on with the newest unfinished one of the same document, and run it to its end here."""
    _check_machine(request)
    print_plan(messages(), application.client.plan_campaign(request))
    campaign, created = application.client.create_or_continue_campaign(request)
    messages().print(f"{'campaign' if created else 'continuing campaign'} {campaign['id']}")
    continue_campaign(application, campaign["id"], home)


def continue_campaign(application: LocalApplication, campaign_id: int, home: str) -> None:
    """Run a campaign from where it is to its end, and show it; the last line is its id."""
    try:
        ended = _run(application, campaign_id)
    except KeyboardInterrupt:
        way = f"go on with: formulary {home}run campaign:{campaign_id}"
        messages().print(f"campaign {campaign_id} is interrupted; {way}", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    print_campaign(results(), ended, application.client.get_ladder(campaign_id))
    typer.echo(campaign_id)
    check_ending(ended, home)


def _run(application: LocalApplication, campaign_id: int) -> Json:
    from studies.workers.campaigns import advance_campaign

    client = application.client
    campaign = client.get_campaign(campaign_id)
    if campaign["state"] == "PAUSED":
        client.resume_campaign(campaign_id)
    while (campaign := client.get_campaign(campaign_id))["state"] == "RUNNING":
        study = _next_study(client, campaign)
        if study is not None:
            drive(application, study)
        elif advance_campaign(application.database, campaign_id):
            _say_ended(campaign, client.get_campaign(campaign_id))
        else:
            time.sleep(POLL_S)  # another process lets it go on
    return campaign


def _next_study(client: Client, campaign: Json) -> Json | None:
    """The study of the first stage or rung that is to be trained, said with its place."""
    parts = [*campaign["stages"], *campaign["rungs"]]
    for place, part in enumerate(parts):
        if part["state"] == "PAUSED":
            client.change_study(part["study_id"], "resume")
        elif part["state"] not in RUNNABLE_STUDIES or part.get("outcome"):
            continue
        study = client.get_study(part["study_id"])
        where = f"part {place + 1} of {len(parts)}: {printable(part['name'])}"
        messages().print(f"{where}, {part['trials']} trials, study {study['id']}", soft_wrap=True)
        return study
    return None


def _say_ended(before: Json, after: Json) -> None:
    for old, new in zip(before["stages"], after["stages"], strict=True):
        if old["outcome"] is None and new["outcome"] is not None:
            messages().print(part_text(new), soft_wrap=True)


def _check_machine(request: Json) -> None:
    """Refuse what could never run here before it is stored."""
    from studies.campaigns.parsing import parse_campaign
    from studies.campaigns.presets import load_preset
    from studies.machine import check_machine

    parsed = parse_campaign(load_preset(request["preset"]) if "preset" in request else request["document"])
    for spec in (*(study.spec for study in parsed.stages), *parsed.rungs):
        check_machine(spec.resources_per_trial)
