"""``formulary run``: a whole study in this process."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from api.client import Client, LocalApplication, open_application
from api.commands.campaign_source import (
    CAMPAIGN,
    PRESET,
    CorpusOption,
    NameOption,
    PlanOption,
    campaign_request,
    is_campaign,
)
from api.commands.options import CorpusRootOption, examples, home_option, placed
from api.ray_token import require_ray_token
from api.settings import Settings
from api.spec_file import read_spec
from api.terminal.campaign_report import print_plan
from api.terminal.consoles import messages, print_warnings, results
from api.terminal.report import print_next_steps, print_report
from model.errors import FormularyError, InvalidInput

POLL_S = 1.0
"""Pause between two tries to take a study that another process works on (assumed)."""
STUDY = ("a study says this itself", "leave it out, or give a campaign")
CAMPAIGN_STORED = ("the campaign is stored already", "leave it out; 'formulary campaign show' says how far it is")
INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 + SIGINT, as shells have it."""
RUNNABLE_STUDIES = frozenset({"QUEUED", "RUNNING", "STOPPING"})

SpecArgument = Annotated[
    Path,
    typer.Argument(
        metavar="SPEC.yaml|CAMPAIGN.yaml|preset:NAME[/STAGE]",
        help="A study or a campaign: a file, one that comes with Formulary, or a campaign that goes on: campaign:ID.",
    ),
]
Json = dict[str, Any]

EXAMPLES = examples(
    "formulary run spec.yaml",
    "formulary run spec.yaml --home /data/formulary --corpus-root ~/texts",
    "formulary run preset:paper-cpu --plan",
    "formulary run preset:paper-cpu",
    "formulary run preset:paper-cpu/rounds",
    "formulary run campaign:1",
)


@placed
def run(
    settings: Settings,
    spec: SpecArgument,
    corpus: CorpusOption = None,
    name: NameOption = None,
    plan: PlanOption = False,
    corpus_root: CorpusRootOption = None,
) -> None:
    """Run a whole study here, without a server: its trials, best trial and formulas; the last line is its id.

    A campaign runs its studies one after the other, each from the winner of the one before, and then its ladder. What
    is unfinished of the same document goes on where it stopped. Ctrl-C leaves it so that it can.
    """
    with open_application(settings.for_operator(spec.parent, corpus_root or ())) as application:
        document = _study_document(spec)
        if document is not None:
            _refuse(STUDY, corpus=corpus, name=name, plan=plan)
            _run_study(settings, application, document)
            return
        from api.commands import run_campaign

        home = home_option(settings)
        if str(spec).startswith(CAMPAIGN):
            _refuse(CAMPAIGN_STORED, corpus=corpus, name=name, plan=plan)
            run_campaign.continue_campaign(application, _campaign_id(spec), home)
            return
        request = campaign_request(spec, corpus, name)
        if plan:
            print_plan(results(), application.client.plan_campaign(request))
            return
        run_campaign.run_campaign(application, request, home)


def _study_document(spec: Path) -> Json | None:
    """The study that is to be run; None of a campaign."""
    source = str(spec)
    if source.startswith(CAMPAIGN):
        return None
    if not source.startswith(PRESET):
        document = read_spec(spec)
        return None if is_campaign(document) else document
    preset, found, stage = source.removeprefix(PRESET).partition("/")
    if not found:
        return None
    from studies.campaigns.presets import load_preset_study

    return load_preset_study(preset, stage)


def _refuse(why: tuple[str, str], **given: object) -> None:
    """Refuse options that would be ignored, with a reason and a remedy."""
    for name, value in given.items():
        if value:
            raise InvalidInput(f"--{name}", *why)


def _campaign_id(source: Path) -> int:
    given = str(source).removeprefix(CAMPAIGN)
    if not given.isdecimal():
        raise InvalidInput("campaign", f"{given[:60]!r} is no id", "write campaign:1; see 'formulary campaign list'")
    return int(given)


def _run_study(settings: Settings, application: LocalApplication, document: Json) -> None:
    client = application.client
    _check_machine(document)
    study = create_or_continue(client, document)
    try:
        drive(application, study)
    except KeyboardInterrupt:
        messages().print(f"study {study['id']} is interrupted; go on with the same command", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    ended = client.get_study(study["id"])
    print_report(results(), client, ended)
    print_next_steps(results(), ended, home_option(settings))
    typer.echo(ended["id"])
    if ended["state"] == "FAILED":
        raise FormularyError(f"study {ended['id']} failed: {ended['error']}")


def _check_machine(document: Json) -> None:
    """Refuse what could never run here before it is stored."""
    from studies.machine import check_machine
    from studies.specs.parsing import parse_spec

    spec = parse_spec(document)
    if spec.execution == "external":
        remedy = "create it with 'formulary study create', and ask the service for its trials (trials:suggest)"
        raise InvalidInput("execution", "the trials of an external study are trained elsewhere", remedy)
    check_machine(spec.resources_per_trial)


def create_or_continue(client: Client, document: Json) -> Json:
    """Create a study, or find the newest unfinished one of the same spec and resume it; say which."""
    study, created = client.create_or_continue_study(document)
    print_warnings(study)
    if created:
        messages().print(f"study {study['id']}: {study['spec']['max_trial_count']} trials")
        return study
    from api.terminal.search_progress import FINISHED_TRIALS

    finished = sum(trial["state"] in FINISHED_TRIALS for trial in client.list_trials(study["id"]))
    total = study["spec"]["max_trial_count"]
    messages().print(f"continuing study {study['id']}: {finished} of {total} trials finished")
    return client.change_study(study["id"], "resume") if study["state"] == "PAUSED" else study


def drive(application: LocalApplication, study: Json) -> None:
    """Run the study, after the process that works on it, if there is one."""
    from studies.errors import LeaseHeld

    waiting = False
    while application.client.get_study(study["id"])["state"] in RUNNABLE_STUDIES:
        try:
            _search(application, study)
            return
        except LeaseHeld as held:
            if not waiting:
                messages().print(f"waiting: {held}", soft_wrap=True)
            waiting = True
            time.sleep(POLL_S)


def _search(application: LocalApplication, study: Json) -> None:
    from api.terminal.search_progress import Tally, search_display

    require_ray_token()
    from studies.runner import run_study  # loads Ray

    tally = Tally.of(study, list(application.client.list_trials(study["id"])))
    with search_display(messages(), tally) as display:
        run_study(application.database, study["id"], application.settings.storage, observers=[display])
