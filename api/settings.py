"""Where everything lives. The environment is read here and nowhere else."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from model.errors import InvalidInput

DEFAULT_HOME = Path("~/.formulary")


@dataclass(frozen=True, slots=True)
class Settings:
    """What an installation is told about its surroundings."""

    home: Path
    """Absolute folder of the database, the storage and the server's address."""
    database_url: str
    """SQLAlchemy address: SQLite or PostgreSQL (psycopg)."""
    corpus_roots: tuple[Path, ...]
    """Folders below which a study may read its corpus."""
    ray_token_file: Path
    """Where the token of Ray's dashboard is, unless it is given itself."""
    given_ray_token: str | None = field(repr=False, default=None)
    ray_dashboard_url: str | None = None
    """Address at which workers reach the dashboard of a Ray that somebody else runs."""
    ray_dashboard_link: str | None = None
    """Address at which browsers reach Ray's dashboard, where it is not the one that workers use."""

    allowed_hosts: tuple[str, ...] = ()
    """Names beside localhost and addresses by which browsers may reach the server."""

    def ray_token(self) -> str | None:
        """The token of Ray's dashboard; None while no Ray was started and none is given."""
        if self.given_ray_token is not None:
            return self.given_ray_token
        return self.ray_token_file.read_text().strip() if self.ray_token_file.is_file() else None

    @property
    def storage(self) -> Path:
        """Root of shards, tokenizers, checkpoints and exports."""
        return self.home / "storage"

    @property
    def server_file(self) -> Path:
        """Address and key of the server that this home belongs to, where one runs."""
        return self.home / "server.json"

    def environment(self) -> dict[str, str]:
        """The environment of a process that is to work on the same home and database; a password stays out of argv."""
        own = {
            "FORMULARY_HOME": str(self.home),
            "FORMULARY_DATABASE_URL": self.database_url,
            "FORMULARY_CORPUS_ROOTS": os.pathsep.join(map(str, self.corpus_roots)),
        }
        return {**os.environ, **own}

    def for_operator(self, folder: Path, roots: Sequence[Path] = ()) -> Self:
        """The settings of a command: its user may read below ``roots``, the current folder and ``folder`` too."""
        own = [_absolute(root, "corpus root") for root in [*roots, Path(), folder]]
        return replace(self, corpus_roots=tuple(dict.fromkeys([*own, *self.corpus_roots])))


def load_settings(
    home: Path | None = None,
    database_url: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """Settings from what is given, then FORMULARY_HOME and FORMULARY_DATABASE_URL, then the defaults.

    FORMULARY_DATABASE_URL_FILE names a file that holds the database's address, with its password, instead. A corpus may
    lie below the folders of FORMULARY_CORPUS_ROOTS (separated like PATH) and below ``<home>/corpora``. Ray's token is
    RAY_AUTH_TOKEN, or in the file RAY_AUTH_TOKEN_PATH, as for Ray itself, or in ``<home>/ray/token``, where the worker
    puts that of a Ray which it starts. FORMULARY_ALLOWED_HOSTS lists host names, separated by commas.

    Raises:
        InvalidInput: a file cannot be read, or a path starts with the name of a user that is not known.
    """
    place = _absolute(home or Path(environment.get("FORMULARY_HOME") or DEFAULT_HOME), "home")
    url = database_url or _database_url(environment) or f"sqlite:///{place / 'formulary.db'}"
    listed = [Path(root) for root in environment.get("FORMULARY_CORPUS_ROOTS", "").split(os.pathsep) if root]
    roots = dict.fromkeys(_absolute(root, "FORMULARY_CORPUS_ROOTS") for root in [*listed, place / "corpora"])
    return Settings(
        home=place,
        database_url=url,
        corpus_roots=tuple(roots),
        ray_token_file=Path(environment.get("RAY_AUTH_TOKEN_PATH") or place / "ray" / "token"),
        given_ray_token=environment.get("RAY_AUTH_TOKEN") or None,
        ray_dashboard_url=environment.get("FORMULARY_RAY_DASHBOARD_URL") or None,
        ray_dashboard_link=environment.get("FORMULARY_RAY_DASHBOARD_LINK") or None,
        allowed_hosts=tuple(environment.get("FORMULARY_ALLOWED_HOSTS", "").replace(",", " ").split()),
    )


def _database_url(environment: Mapping[str, str]) -> str | None:
    file = environment.get("FORMULARY_DATABASE_URL_FILE")
    return environment.get("FORMULARY_DATABASE_URL") or (_line_in(file) if file else None)


def _line_in(file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except (OSError, ValueError) as error:
        remedy = "name a file that holds the database's address"
        raise InvalidInput("FORMULARY_DATABASE_URL_FILE", f"{file!r} cannot be read ({error})", remedy) from error


def _absolute(path: Path, field: str) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise InvalidInput(field, f"{str(path)!r} names a user that is not known", "write the whole path") from error
