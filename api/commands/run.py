"""``formulary run``: a whole study in this process."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from api.client import Client, LocalApplication, open_application
from api.commands.options import CorpusRootOption, examples, home_option, placed
from api.ray_token import require_ray_token
from api.settings import Settings
from api.spec_file import read_spec
from api.terminal.consoles import messages, print_warnings, results
from api.terminal.report import print_next_steps, print_report
from model.errors import FormularyError, InvalidInput

POLL_S = 1.0
"""Pause between two tries to take a study that another process works on (assumed)."""
INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 + SIGINT, as shells have it."""
RUNNABLE_STUDIES = frozenset({"QUEUED", "RUNNING", "STOPPING"})

SpecArgument = Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="The study spec.")]
Json = dict[str, Any]

EXAMPLES = examples(
    "formulary run spec.yaml",
    "formulary run spec.yaml --home /data/formulary --corpus-root ~/texts",
)


@placed
def run(settings: Settings, spec: SpecArgument, corpus_root: CorpusRootOption = None) -> None:
    """Run a whole study here, without a server: its trials, best trial and formulas; the last line is its id.

    An unfinished study of the same spec goes on where it stopped. Ctrl-C leaves it so that it can.
    """
    document = read_spec(spec)
    with open_application(settings.for_operator(spec.parent, corpus_root or ())) as application:
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
