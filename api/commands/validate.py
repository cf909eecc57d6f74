"""``formulary validate``: is a study's recipe as good as its rivals at sizes beyond the trials?"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from api.client import Client, LocalApplication, connect, find_server, open_application
from api.commands.options import CorpusRootOption, JsonOption, StudyArgument, examples, home_option, placed
from api.commands.run import INTERRUPTED, drive
from api.settings import Settings
from api.terminal.consoles import messages, results
from api.terminal.streams import print_json
from api.terminal.validation_report import print_plan, print_validation, validation_table
from model.errors import FormularyError, InvalidInput

Json = dict[str, Any]

SizeOption = Annotated[
    int | None, typer.Option("--total-parameters", help="Size of the model that the recipe is for.", min=1)
]
TokensOption = Annotated[int | None, typer.Option("--tokens", help="Its training tokens.", min=1)]
SizesOption = Annotated[
    str | None,
    typer.Option(
        "--sizes",
        metavar="N,N,N",
        help="Three to eight growing sizes to train at, e.g. 1e6,2e6,4e6; left out, three that double, as large as "
        "--max-train-flops allows.",
    ),
]
RatioOption = Annotated[
    float | None,
    typer.Option(
        "--tokens-per-parameter",
        help="Training tokens for each parameter; left out, the target's, or the best trial's.",
        min=0.0,
    ),
]
SeedsOption = Annotated[int, typer.Option("--seeds", help="Runs of each candidate at each size.", min=3, max=100)]
MarginOption = Annotated[
    float | None,
    typer.Option(
        "--margin",
        help="Largest regret that passes, in bits per byte; left out, 0.5 % of the best trial's bits per byte.",
        min=0.0,
    ),
]
CapOption = Annotated[
    float | None,
    typer.Option(
        "--max-train-flops",
        help="Most training FLOPs of all runs together; left out, what the study itself spent, unless sizes are given. "
        "With it nothing is asked before training starts.",
        min=0.0,
    ),
]
PlanOption = Annotated[bool, typer.Option("--plan", help="Show sizes, candidates and cost; train nothing.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Train without asking.")]
ShowOption = Annotated[
    int | None, typer.Option("--show", metavar="V", help="Show validation V as it stands; train nothing.", min=1)
]
ListOption = Annotated[bool, typer.Option("--list", help="List the study's validations; train nothing.")]

EXAMPLES = examples(
    "formulary validate 3 --plan",
    "formulary validate 3 --sizes 1e6,2e6,4e6 --yes",
    "formulary validate 3 --total-parameters 1000000000 --tokens 20000000000 --max-train-flops 1e18",
    "formulary validate 3 --show 1 --json",
)


@placed
def validate(
    settings: Settings,
    study: StudyArgument,
    total_parameters: SizeOption = None,
    tokens: TokensOption = None,
    sizes: SizesOption = None,
    tokens_per_parameter: RatioOption = None,
    seeds: SeedsOption = 3,
    margin: MarginOption = None,
    max_train_flops: CapOption = None,
    plan: PlanOption = False,
    yes: YesOption = False,
    show: ShowOption = None,
    list_all: ListOption = False,
    corpus_root: CorpusRootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a study's recipe and its rivals at growing sizes, and say whether the recipe can be trusted there.

    Rivals are the default config, the published Step Law, and the recipe at half and at twice its learning rate; all
    have the recipe's parameters, tokens, vocabulary and context. Regret is the recipe's bits per byte less its best
    rival's. It passes when the upper bound of the regret at the largest size is within the margin, and no rival
    changes sides over the sizes beyond noise; it fails when the lower bound is above the margin; else it is undecided,
    and says how many seeds would decide. The margin is declared before anything is trained.

    Each size is an ordinary study that survives kills: the same command goes on with a validation that was cut off.
    Cost is shown before it is spent. An export for a target says what was validated, to which size, and what factor of
    extrapolation remains. The last line is the validation's id.
    """
    given = {
        "total_parameters": total_parameters,
        "tokens": tokens,
        "sizes": _sizes(sizes),
        "tokens_per_parameter": tokens_per_parameter,
        "seeds": seeds,
        "margin": margin,
        "max_train_flops": max_train_flops,
    }
    request = {name: value for name, value in given.items() if value is not None}
    if show is not None or list_all:
        _show(settings, study, show, as_json)
        return
    if plan:
        with connect(settings.for_operator(Path(), corpus_root or ())) as client:
            _print_plan(client.plan_validation(study, request), as_json)
        return
    ended = _validate(settings.for_operator(Path(), corpus_root or ()), study, request, yes or bool(max_train_flops))
    if as_json:
        print_json(ended)
        return
    print_validation(results(), ended)
    if ended["judgement"]["verdict"] != "failed":
        export = (
            f"formulary {home_option(settings)}export {study} --format hf --out model --total-parameters N --tokens D"
        )
        results().print(f"an export says what was validated: {export}", soft_wrap=True)
    typer.echo(ended["id"])


def _sizes(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(
            "give numbers with commas between them, e.g. 1e6,2e6,4e6", param_hint="--sizes"
        ) from None
    if not all(number >= 1 and number.is_integer() for number in numbers):
        raise typer.BadParameter("sizes are whole numbers of parameters", param_hint="--sizes")
    return [int(number) for number in numbers]


def _show(settings: Settings, study: int, validation: int | None, as_json: bool) -> None:
    with connect(settings) as client:
        if validation is None:
            found = client.list_validations(study)
            print_json(found) if as_json else results().print(validation_table(found))
            return
        shown = client.get_validation(study, validation)
    print_json(shown) if as_json else print_validation(results(), shown)


def _print_plan(plan: Json, as_json: bool) -> None:
    print_json(plan) if as_json else print_plan(results(), plan)


def _validate(settings: Settings, study: int, request: Json, agreed: bool) -> Json:
    """Train here, or where a server runs the studies; the validation as it has ended."""
    if find_server(settings) is not None:
        with connect(settings) as client:
            created = _begin(client, study, request, agreed)
            _follow(client, created)
            return _ended(client, created)
    with open_application(settings) as application:
        created = _begin(application.client, study, request, agreed)
        _train(application, created)
        return _ended(application.client, created)


def _begin(client: Client, study: int, request: Json, agreed: bool) -> Json:
    """Create the validation once its cost is agreed to, or find the one that was cut off."""
    if not any(_asks(one, request) for one in client.list_validations(study) if one["state"] == "running"):
        print_plan(messages(), client.plan_validation(study, request))
        if not agreed:
            _confirm()
    validation, created = client.create_or_continue_validation(study, request)
    messages().print(f"{'validation' if created else 'going on with validation'} {validation['id']}")
    return validation


def _asks(validation: Json, request: Json) -> bool:
    return request == {name: value for name, value in validation["request"].items() if value is not None}


def _confirm() -> None:
    if not sys.stdin.isatty():
        raise InvalidInput("--yes", "nobody is there to agree to this cost", "give --yes, or a cap: --max-train-flops")
    typer.confirm("Train them?", abort=True, err=True)


def _train(application: LocalApplication, validation: Json) -> None:
    """Run the studies of the sizes here, the smallest first."""
    try:
        for study in _studies(application.client, validation):
            drive(application, study)
    except KeyboardInterrupt:
        messages().print(f"validation {validation['id']} is interrupted; go on with the same command", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None


def _follow(client: Client, validation: Json) -> None:
    """Watch the studies of the sizes until a worker has ended them."""
    from api.terminal.watching import watch_study

    for study in _studies(client, validation):
        watch_study(messages(), client, study)


def _studies(client: Client, validation: Json) -> Any:
    """The study of each size that was not deleted, as it is when its turn comes."""
    rungs = list(zip(validation["rungs"], validation["plan"]["rungs"], strict=True))
    for place, (rung, planned) in enumerate(rungs):
        if rung["study_id"] is None:
            continue
        study = client.get_study(rung["study_id"])
        if study["state"] == "PAUSED":
            study = client.change_study(study["id"], "resume")
        size = f"size {place + 1} of {len(rungs)}: {planned['total_parameters']:,} parameters"
        messages().print(f"{size}, {rung['runs']} runs, study {study['id']}")
        yield study


def _ended(client: Client, validation: Json) -> Json:
    ended = client.get_validation(validation["study_id"], validation["id"])
    if ended["state"] == "running":
        raise FormularyError(f"validation {ended['id']} has not ended: a study of it waits; see formulary study list")
    return ended
