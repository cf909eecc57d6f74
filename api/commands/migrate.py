"""``formulary migrate``: the database's schema."""

from api.commands.options import examples, placed
from api.settings import Settings
from api.terminal.consoles import messages

EXAMPLES = examples(
    "formulary migrate --database-url postgresql://user@host/formulary",
)


@placed
def migrate(settings: Settings) -> None:
    """Bring the database to the newest schema; other commands do it as they start."""
    from studies.database import Database  # the other commands start sooner without it

    with Database(settings.database_url) as database:
        database.migrate()
    messages().print("the database has the newest schema")
