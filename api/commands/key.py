"""``formulary key``: create, list and revoke API keys."""

from typing import Annotated, Any

import typer

from api.client import connect
from api.commands.options import JsonOption, examples, placed, remember_place
from api.settings import Settings
from api.terminal.consoles import messages, results
from api.terminal.streams import print_json
from api.terminal.tables import key_table
from studies.records import Role

app = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys.")
app.callback()(remember_place)

RoleOption = Annotated[Role, typer.Option("--role", help="read; write: that and change; admin: that, keys and Ray.")]
NameOption = Annotated[str, typer.Option("--name", help="What people call it.")]
OwnerOption = Annotated[str | None, typer.Option("--owner", help="Whose studies it shows; yours if left out.")]
KeyArgument = Annotated[int, typer.Argument(metavar="ID", help="The key's id.", min=1)]


@app.command("create", epilog=examples("formulary key create", "formulary key create --role read --name wall-display"))
@placed
def create(
    settings: Settings, role: RoleOption = Role.WRITE, name: NameOption = "command line", owner: OwnerOption = None
) -> None:
    """Create a key; the last line is the key, which is never shown again."""
    with connect(settings) as client:
        created = client.create_key(role, name, owner)
    messages().print(f"key {created['id']} of {created['owner']}, role {created['role']}; keep it, it is not stored:")
    typer.echo(created["key"])


@app.command("list", epilog=examples("formulary key list", "formulary key list --json"))
@placed
def list_keys(settings: Settings, as_json: JsonOption = False) -> None:
    """List keys of every owner, newest first."""
    with connect(settings) as client:
        keys: list[dict[str, Any]] = list(client.list_keys())
    if as_json:
        print_json(keys)
    else:
        results().print(key_table(keys))


@app.command("revoke", epilog=examples("formulary key revoke 3"))
@placed
def revoke(settings: Settings, key: KeyArgument) -> None:
    """End a key, and the browser sessions that were opened with it."""
    with connect(settings) as client:
        client.revoke_key(key)
    messages().print(f"key {key} is revoked")
