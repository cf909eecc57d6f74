"""``formulary study``: create, list, show, watch, clone, control, continue and delete studies."""

from pathlib import Path
from typing import Annotated, Any

import typer

from api.client import connect, find_server
from api.commands import continue_study
from api.commands.options import (
    CorpusRootOption,
    JsonOption,
    StudyArgument,
    examples,
    home_option,
    placed,
    remember_place,
)
from api.settings import Settings
from api.spec_file import read_spec
from api.terminal.consoles import messages, print_warnings, results
from api.terminal.report import front_of, print_next_steps, print_report, print_seed_noise
from api.terminal.streams import print_json
from api.terminal.tables import study_table, trial_table
from model.errors import FormularyError, InvalidInput

app = typer.Typer(no_args_is_help=True, help="Create, list, show, watch, clone, control, continue and delete studies.")
app.callback()(remember_place)

SpecArgument = Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="The study spec.")]


@app.command(
    "create",
    epilog=examples("formulary study create spec.yaml", "formulary study create spec.yaml --corpus-root ~/texts"),
)
@placed
def create(settings: Settings, spec: SpecArgument, corpus_root: CorpusRootOption = None) -> None:
    """Create a study that waits to be run; the last line is its id."""
    document = read_spec(spec)
    _check_roots(settings, corpus_root)
    with connect(settings.for_operator(spec.parent, corpus_root or ())) as client:
        study = client.create_study(document)
    print_warnings(study)
    typer.echo(study["id"])


def _check_roots(settings: Settings, corpus_root: CorpusRootOption) -> None:
    server = find_server(settings) if corpus_root else None
    if server is not None:
        reason = f"the service at {server.base_url} reads only folders that it was started with"
        raise InvalidInput("--corpus-root", reason, "start it with FORMULARY_CORPUS_ROOTS=FOLDER, or leave this out")


@app.command("list", epilog=examples("formulary study list", "formulary study list --json"))
@placed
def list_studies(settings: Settings, as_json: JsonOption = False) -> None:
    """List studies, newest first."""
    with connect(settings) as client:
        studies = list(client.list_studies())
    if as_json:
        print_json(studies)
    else:
        results().print(study_table(studies))


@app.command("show", epilog=examples("formulary study show 3", "formulary study show 3 --json"))
@placed
def show(settings: Settings, study: StudyArgument, as_json: JsonOption = False) -> None:
    """Show a study with its trials, best first; of several objectives, the front first."""
    with connect(settings) as client:
        shown: dict[str, Any] = client.get_study(study)
        shown["trials"] = list(client.list_trials(study))
    if as_json:
        print_json(shown)
        return
    console = results()
    console.print(study_table([shown]))
    if shown["error"]:
        console.print(f"error: {shown['error']}")
    objectives = shown["spec"]["objectives"]
    print_seed_noise(console, shown["trials"], objectives[0]["metric"])
    console.print()
    console.print(trial_table(shown["trials"], objectives, front_of(objectives, shown["trials"])))


@app.command("watch", epilog=examples("formulary study watch 3"))
@placed
def watch(settings: Settings, study: StudyArgument) -> None:
    """Follow a study that runs elsewhere until it ends, then print its trials and formulas."""
    from api.terminal.watching import watch_study

    with connect(settings) as client:
        state = watch_study(messages(), client, client.get_study(study))
        if state == "DELETED":
            raise FormularyError(f"study {study} was deleted")
        ended = client.get_study(study)
        print_report(results(), client, ended)
        print_next_steps(results(), ended, home_option(settings))
    if state == "FAILED":
        raise FormularyError(f"study {study} failed: {ended['error']}")


@app.command("clone", epilog=examples("formulary study clone 3", "formulary study clone 3 --corpus-root ~/texts"))
@placed
def clone(settings: Settings, study: StudyArgument, corpus_root: CorpusRootOption = None) -> None:
    """Create a study of the same spec that waits to be run; the last line is its id."""
    _check_roots(settings, corpus_root)
    with connect(settings.for_operator(Path(), corpus_root or ())) as client:
        created = client.clone_study(study)
    print_warnings(created)
    typer.echo(created["id"])


CONTROLS = {
    "pause": "Let a study rest; its running trials end.",
    "resume": "Queue a paused study again.",
    "stop": "End a study with the trials it has; its formulas are fitted.",
    "cancel": "Give a study up.",
}


def _add_control(verb: str, explanation: str) -> None:
    def change(settings: Settings, study: StudyArgument) -> None:
        with connect(settings) as client:
            changed = client.change_study(study, verb)
        messages().print(f"study {study} is {changed['state']}")

    app.command(verb, help=explanation, epilog=examples(f"formulary study {verb} 3"))(placed(change))


for _verb, _explanation in CONTROLS.items():
    _add_control(_verb, _explanation)


app.command("enqueue", epilog=continue_study.ENQUEUE_EXAMPLES)(continue_study.enqueue)
app.command("extend", epilog=continue_study.EXTEND_EXAMPLES)(continue_study.extend)


@app.command("delete", epilog=examples("formulary study delete 3"))
@placed
def delete(settings: Settings, study: StudyArgument) -> None:
    """Delete a study with its trials, formulas and exports."""
    with connect(settings) as client:
        client.delete_study(study)
    messages().print(f"study {study} is deleted")
