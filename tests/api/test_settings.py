"""Where everything lives: what is given, then the environment, then the defaults."""

import sys
from pathlib import Path

import pytest

from api.settings import load_settings
from model.errors import InvalidInput


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    settings = load_settings(environment={})
    assert settings.home == Path("/somewhere/.formulary")
    assert settings.database_url == "sqlite:////somewhere/.formulary/formulary.db"
    assert settings.storage == Path("/somewhere/.formulary/storage")
    assert settings.corpus_roots == (Path("/somewhere/.formulary/corpora"),)


def test_environment_then_what_is_given() -> None:
    environment = {
        "FORMULARY_HOME": "/home-of-env",
        "FORMULARY_DATABASE_URL": "sqlite:////env.db",
        "FORMULARY_CORPUS_ROOTS": "/a::/b",
    }
    settings = load_settings(environment=environment)
    assert (settings.home, settings.database_url) == (Path("/home-of-env"), "sqlite:////env.db")
    assert settings.corpus_roots == (Path("/a"), Path("/b"), Path("/home-of-env/corpora"))
    given = load_settings(home=Path("/given"), database_url="sqlite:////given.db", environment=environment)
    assert (given.home, given.database_url) == (Path("/given"), "sqlite:////given.db")


def test_the_operator_reads_the_current_folder_and_the_specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(home=Path("/h"), environment={}).for_operator(Path("specs"), [Path("texts")])
    assert settings.corpus_roots == (tmp_path / "texts", tmp_path, tmp_path / "specs", Path("/h/corpora"))


@pytest.mark.parametrize(
    ("environment", "field"),
    [
        ({"FORMULARY_HOME": "~nobody-at-all/home"}, "home"),
        ({"FORMULARY_CORPUS_ROOTS": "/a:~nobody-at-all/b"}, "FORMULARY_CORPUS_ROOTS"),
        ({"FORMULARY_DATABASE_URL_FILE": "/nonexistent"}, "FORMULARY_DATABASE_URL_FILE"),
        ({"FORMULARY_DATABASE_URL_FILE": "/"}, "FORMULARY_DATABASE_URL_FILE"),
        ({"FORMULARY_DATABASE_URL_FILE": sys.executable}, "FORMULARY_DATABASE_URL_FILE"),
    ],
)
def test_rubbish_is_refused_by_the_name_of_its_variable(environment: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_settings(environment=environment)
    assert caught.value.field == field
