"""The command ``formulary``."""

from importlib.metadata import version
from typing import Annotated

import typer

from api.commands import (
    campaign,
    demo,
    export,
    formulas,
    import_runs,
    key,
    layers,
    migrate,
    pretrain,
    recipe,
    run,
    run_study,
    serve,
    simulate,
    space,
    study,
    tokenizer,
    validate,
    worker,
)
from api.commands.options import DatabaseOption, HomeOption, examples, remember_place
from api.terminal.streams import open_streams

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)

EXAMPLES = examples(
    "formulary run spec.yaml",
    "formulary formulas 1",
    "formulary recipe 1 --total-parameters 3M --tokens 60M",
    "formulary export 1 --format hf --out model --total-parameters 3000000 --tokens 60000000",
    "formulary pretrain model",
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"formulary {version('formulary')}")
        raise typer.Exit


@app.callback(epilog=EXAMPLES)
def formulary(
    context: typer.Context,
    home: HomeOption = None,
    database_url: DatabaseOption = None,
    asked: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Recover the design formulas of tiny language models from short trials, and turn them into configs that train."""
    remember_place(context, home, database_url)


app.command("run", epilog=run.EXAMPLES)(run.run)
app.command("space", epilog=space.EXAMPLES)(space.show_space)
app.add_typer(study.app, name="study")
app.add_typer(campaign.app, name="campaign")
app.command("import", epilog=import_runs.EXAMPLES)(import_runs.import_runs)
app.command("formulas", epilog=formulas.EXAMPLES)(formulas.show_formulas)
app.command("simulate", epilog=simulate.EXAMPLES)(simulate.simulate)
app.command("recipe", epilog=recipe.EXAMPLES)(recipe.show_recipe)
app.command("validate", epilog=validate.EXAMPLES)(validate.validate)
app.command("export", epilog=export.EXAMPLES)(export.export)
app.command("layers", epilog=layers.EXAMPLES)(layers.show_layers)
app.command("pretrain", epilog=pretrain.EXAMPLES)(pretrain.pretrain)
app.command("serve", epilog=serve.EXAMPLES)(serve.serve)
app.command("login-link", epilog=serve.LINK_EXAMPLES)(serve.login_link)
app.command("demo", epilog=demo.EXAMPLES)(demo.demo)
app.command("worker", epilog=worker.EXAMPLES)(worker.worker)
app.command("run-study", hidden=True)(run_study.run_study)
app.add_typer(tokenizer.app, name="tokenizer")
app.add_typer(key.app, name="key")
app.command("migrate", epilog=migrate.EXAMPLES)(migrate.migrate)


def main() -> None:
    """Run the command line."""
    open_streams()
    app()


if __name__ == "__main__":
    main()
