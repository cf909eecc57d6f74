"""``formulary campaign``: create, list, show, watch, pause, resume, cancel and delete campaigns."""

from pathlib import Path
from typing import Annotated, Any

import typer

from api.campaign_markdown import campaign_markdown
from api.client import Client, connect
from api.commands.campaign_source import CorpusOption, NameOption, PlanOption, SourceArgument, campaign_request
from api.commands.options import CorpusRootOption, JsonOption, examples, home_option, placed, remember_place
from api.settings import Settings
from api.spec_file import read_spec
from api.terminal.campaign_report import campaign_table, print_campaign, print_plan
from api.terminal.consoles import messages, results
from api.terminal.streams import print_json
from model.errors import FormularyError

app = typer.Typer(no_args_is_help=True, help="Create, list, show, watch and control campaigns: studies in order.")
app.callback()(remember_place)

CampaignArgument = Annotated[int, typer.Argument(metavar="ID", help="The campaign's id.", min=1)]
StudyOption = Annotated[
    list[str] | None,
    typer.Option("--study", metavar="STAGE=SPEC.yaml", help="Another study for a stage that failed; may be repeated."),
]
MarkdownOption = Annotated[
    bool, typer.Option("--markdown", help="As Markdown with the formulas of its stages, for a write-up.")
]
Json = dict[str, Any]


@app.command(
    "create",
    epilog=examples(
        "formulary campaign create preset:paper-cpu",
        "formulary campaign create preset:paper-cpu --plan",
        "formulary campaign create campaign.yaml --corpus text.txt --name mine",
    ),
)
@placed
def create(
    settings: Settings,
    source: SourceArgument,
    corpus: CorpusOption = None,
    name: NameOption = None,
    plan: PlanOption = False,
    corpus_root: CorpusRootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a campaign that a worker runs: its first study waits, the others follow; the last line is its id."""
    request = campaign_request(source, corpus, name)
    with connect(settings.for_operator(source.parent, corpus_root or ())) as client:
        planned = client.plan_campaign(request)
        if plan:
            print_json(planned) if as_json else print_plan(results(), planned)
            return
        print_plan(messages(), planned)
        created = client.create_campaign(request)
    print_json(created) if as_json else typer.echo(created["id"])


@app.command("list", epilog=examples("formulary campaign list", "formulary campaign list --json"))
@placed
def list_campaigns(settings: Settings, as_json: JsonOption = False) -> None:
    """List campaigns, newest first."""
    with connect(settings) as client:
        found = list(client.list_campaigns())
    print_json(found) if as_json else results().print(campaign_table(found))


@app.command(
    "show",
    epilog=examples(
        "formulary campaign show 1",
        "formulary campaign show 1 --json",
        "formulary campaign show 1 --markdown > result.md",
    ),
)
@placed
def show(
    settings: Settings, campaign: CampaignArgument, as_json: JsonOption = False, markdown: MarkdownOption = False
) -> None:
    """Show a campaign: its stages with their winners, its ladder and its cost."""
    with connect(settings) as client:
        shown, ladder = client.get_campaign(campaign), client.get_ladder(campaign)
        formulas = _formulas(client, shown) if markdown else {}
    if markdown:
        typer.echo(campaign_markdown(shown, ladder, formulas), nl=False)
    elif as_json:
        print_json({**shown, "ladder": ladder})
    else:
        print_campaign(results(), shown, ladder)


def _formulas(client: Client, campaign: Json) -> dict[int, list[Json]]:
    studies = [stage["study_id"] for stage in campaign["stages"] if stage["study_id"] is not None]
    return {study: client.list_formulas(study) for study in studies}


@app.command("watch", epilog=examples("formulary campaign watch 1"))
@placed
def watch(settings: Settings, campaign: CampaignArgument) -> None:
    """Follow a campaign that a worker runs until it has ended, then show it."""
    from api.terminal.campaign_watching import watch_campaign

    with connect(settings) as client:
        ended = watch_campaign(messages(), client, campaign)
        print_campaign(results(), ended, client.get_ladder(campaign))
    check_ending(ended, home_option(settings))


@app.command(
    "resume",
    epilog=examples("formulary campaign resume 1", "formulary campaign resume 1 --study inheritance=repaired.yaml"),
)
@placed
def resume(
    settings: Settings, campaign: CampaignArgument, study: StudyOption = None, corpus_root: CorpusRootOption = None
) -> None:
    """Let a campaign go on that rests, has failed or was cancelled; studies that did not end well are begun anew."""
    repaired = dict(_stage_and_file(given) for given in study or ())
    stages = {name: read_spec(path) for name, path in repaired.items()}
    with connect(settings.for_operator(Path(), corpus_root or ())) as client:
        changed = client.resume_campaign(campaign, stages)
    _say_state(changed)
    messages().print(f"without a worker, go on here: formulary {home_option(settings)}run campaign:{campaign}")


def _stage_and_file(given: str) -> tuple[str, Path]:
    stage, found, path = given.partition("=")
    if not (stage and found and path):
        raise typer.BadParameter("write STAGE=SPEC.yaml", param_hint="--study")
    return stage, Path(path)


CONTROLS = {
    "pause": "Let a campaign and its studies rest; trials that run end.",
    "cancel": "Give a campaign up, and its studies that have not ended.",
}


def _add_control(verb: str, explanation: str) -> None:
    def change(settings: Settings, campaign: CampaignArgument) -> None:
        with connect(settings) as client:
            _say_state(client.change_campaign(campaign, verb))

    app.command(verb, help=explanation, epilog=examples(f"formulary campaign {verb} 1"))(placed(change))


for _verb, _explanation in CONTROLS.items():
    _add_control(_verb, _explanation)


@app.command("delete", epilog=examples("formulary campaign delete 1"))
@placed
def delete(settings: Settings, campaign: CampaignArgument) -> None:
    """Delete a campaign that has ended; its studies stay."""
    with connect(settings) as client:
        client.delete_campaign(campaign)
    messages().print(f"campaign {campaign} is deleted")


def check_ending(campaign: Json, home: str) -> None:
    """Raise FormularyError where a campaign did not end well, with the way on."""
    if campaign["state"] in ("FAILED", "CANCELLED"):
        way = f"go on with: formulary {home}campaign resume {campaign['id']}"
        raise FormularyError(f"campaign {campaign['id']} is {campaign['state']}: {campaign['error']}; {way}")


def _say_state(campaign: Json) -> None:
    messages().print(f"campaign {campaign['id']} is {campaign['state']}")
