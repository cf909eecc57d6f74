"""The commands, in process on a home of their own: what they print, where, and how they end."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from studies.database import Database

Formulary = Callable[..., Result]


@pytest.fixture
def formulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Formulary:
    """Run a command; it must end with ``status``, and an error must be one line on standard error."""
    monkeypatch.setenv("FORMULARY_HOME", str(tmp_path / "home"))
    for name in ("FORMULARY_DATABASE_URL", "FORMULARY_CORPUS_ROOTS"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object, status: int = 0) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == status, (result.output, result.exception)
        if status == 1:
            assert result.stderr.startswith("error: ")
            assert len(result.stderr.splitlines()) == 1
            assert result.stdout == ""
        return result

    return run


@pytest.fixture
def runs(tmp_path: Path, table: bytes) -> Path:
    path = tmp_path / "runs.csv"
    path.write_bytes(table)
    return path


@pytest.fixture
def imported(formulary: Formulary, runs: Path) -> str:
    return last_line(formulary("import", runs, "--name", "sweep", "--objective", "bits_per_byte"))


@pytest.fixture
def planted(formulary: Formulary, spec: Path, tmp_path: Path, plant: Callable[[Database, int], None]) -> str:
    study = last_line(formulary("study", "create", spec))
    with Database(f"sqlite:///{tmp_path}/home/formulary.db") as database:
        plant(database, int(study))
    return study


def last_line(result: Result) -> str:
    return str(result.stdout.splitlines()[-1])


def test_a_study_with_seeds_tells_their_noise(formulary: Formulary, tmp_path: Path) -> None:
    path = tmp_path / "seeds.csv"
    path.write_text("depth,seed,bits_per_byte\n2,0,2.0\n2,1,2.2\n4,0,3.0\n4,1,3.2\n")
    study = last_line(formulary("import", path, "--name", "seeds", "--objective", "bits_per_byte"))
    shown = formulary("study", "show", study).stdout
    assert "bits_per_byte between seeds: standard deviation 0.1414, 2 degrees of freedom" in shown


def test_a_study_without_seeds_tells_none(formulary: Formulary, imported: str) -> None:
    assert "between seeds" not in formulary("study", "show", imported).stdout


def test_import_prints_the_new_id_alone(formulary: Formulary, imported: str) -> None:
    assert imported == "1"
    assert "sweep" in formulary("study", "list").stdout


def test_study_list_as_json(formulary: Formulary, imported: str) -> None:
    (study,) = json.loads(formulary("study", "list", "--json").stdout)
    assert (str(study["id"]), study["name"], study["state"]) == (imported, "sweep", "COMPLETED")


def test_study_show_as_json_is_what_the_design_fixes(formulary: Formulary, imported: str) -> None:
    study = json.loads(formulary("study", "show", imported, "--json").stdout)
    assert {"id", "name", "state", "spec", "trials"} <= set(study)
    assert len(study["trials"]) == 48
    trial = study["trials"][0]
    assert {"number", "state", "parameters", "metrics", "attributes"} <= set(trial)
    assert trial["parameters"]["learning_rate"] == 0.001
    assert trial["attributes"] == {"machine": "box"}


def test_study_show_sorts_trials_by_the_objective(formulary: Formulary, planted: str) -> None:
    lines = formulary("study", "show", planted).stdout.splitlines()
    header = next(index for index, line in enumerate(lines) if line.startswith("trial"))
    rows = [line.split() for line in lines[header + 1 :]]
    losses = [float(row[4]) for row in rows[:-1]]
    assert losses == sorted(losses)
    assert len(losses) == 8
    assert rows[-1][:2] == ["8", "FAIL"]
    assert "the loss is not finite" in lines[-1]


def test_formulas_as_json_is_what_the_design_fixes(formulary: Formulary, imported: str) -> None:
    formulas = json.loads(formulary("formulas", imported, "--json").stdout)
    law = next(formula for formula in formulas if formula["kind"] == "learning_rate_batch")
    fixed = "id revision kind form statement latex studies size_convention observations domain held_out_error"
    assert {*fixed.split(), "coefficients", "verdict", "evidence"} <= set(law)
    exponent = law["coefficients"]["r"]
    assert {"estimate", "low", "high", "level", "unit", "paper", "verdict"} <= set(exponent)
    assert exponent["low"] < 0.5 < exponent["high"]


def test_formulas_as_cards(formulary: Formulary, imported: str) -> None:
    card = formulary("formulas", imported).stdout
    assert "learning_rate_batch" in card
    assert "verdict: " in card
    assert "learning_rate over batch_tokens, 1024 to 8192" in card
    assert "\x1b" not in card


def test_study_create_then_control_and_delete(formulary: Formulary, spec: Path) -> None:
    assert formulary("study", "create", spec).stdout == "1\n"
    for verb, state in (("pause", "PAUSED"), ("resume", "QUEUED"), ("cancel", "CANCELLED")):
        assert formulary("study", verb, 1).stderr == f"study 1 is {state}\n"
    assert "cannot pause" in formulary("study", "pause", 1, status=1).stderr
    formulary("study", "delete", 1)
    assert json.loads(formulary("study", "list", "--json").stdout) == []


def test_study_create_warns_of_what_will_not_be_run(formulary: Formulary, spec: Path) -> None:
    spec.write_text(spec.read_text().replace("max_trial_count: 9", "max_trial_count: 7"))
    created = formulary("study", "create", spec)
    assert created.stdout == "1\n"
    grid, partial = created.stderr.splitlines()
    assert grid == "warning: max_trial_count: the grid has 9 trials, of which 2 will not be run"
    assert partial.startswith("warning: max_trial_count: 7 is no multiple of the 3 inner points")


def test_export_writes_the_folder_and_prints_the_id(formulary: Formulary, planted: str, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "best"
    result = formulary("export", planted, "--format", "formulary", "--out", out)
    assert last_line(result) == "1"
    assert f"formulary pretrain {out}" in result.stderr
    assert "tried: trained some steps with Formulary with torch" in result.stderr
    assert "2 steps were trained: loss" in result.stderr
    document = json.loads((out / "formulary.json").read_text())
    assert document["pretrain"]["optimization"]["learning_rate"] == 0.002
    assert (out / "tokenizer.json").is_file()
    assert [path.name for path in out.parent.iterdir()] == ["best"]


def test_pretrain_says_how_to_name_a_corpus_elsewhere(formulary: Formulary, planted: str, tmp_path: Path) -> None:
    formulary("export", planted, "--format", "formulary", "--out", tmp_path / "model")
    (tmp_path / "words.txt").unlink()
    error = formulary("pretrain", tmp_path / "model", status=1).stderr
    assert error.startswith("error: pretrain.corpus.path: ")
    assert "name the folder that holds it with --corpus-root" in error


def test_export_of_a_trial(formulary: Formulary, planted: str, tmp_path: Path) -> None:
    formulary("export", planted, "--format", "formulary", "--out", tmp_path / "t", "--trial", 3)
    document = json.loads((tmp_path / "t" / "formulary.json").read_text())
    study = json.loads(formulary("study", "show", planted, "--json").stdout)
    assert document["pretrain"]["architecture"]["depth"] == study["trials"][3]["parameters"]["depth"]
    assert document["pretrain"]["optimization"]["learning_rate"] == study["trials"][3]["parameters"]["learning_rate"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "gguf"], "format"),
        (["--format", "internevo"], "internevo has no tied head"),
        (["--format", "hf", "--trial", "8"], "trial 8 is FAIL"),
        (["--format", "hf", "--trial", "77"], "no trial 77"),
        (["--format", "hf", "--tokens", "1000"], "total_parameters"),
    ],
)
def test_export_refuses_before_it_writes(
    formulary: Formulary, planted: str, tmp_path: Path, options: list[str], message: str
) -> None:
    assert message in formulary("export", planted, "--out", tmp_path / "out", *options, status=1).stderr
    assert not (tmp_path / "out").exists()


def test_export_keeps_what_is_in_the_folder(formulary: Formulary, planted: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("precious")
    for out in (tmp_path / "out", tmp_path / "out" / "mine"):
        error = formulary("export", planted, "--format", "hf", "--out", out, status=1).stderr
        assert "--out" in error
        assert "not an empty folder" in error
    assert (tmp_path / "out" / "mine").read_text() == "precious"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ("space:\n  depth: {type: int, low: 4, high: 2}\n", "space.depth"),
        ("max_trials: 3\n", "max_trials"),
        ("max_trial_count: 0\n", "max_trial_count"),
        ("proxy: {corpus: {kind: text, path: missing.txt}, train_bytes: 1000}\n", "proxy.corpus.path"),
        ("proxy: {train_bytes: 1000, train_tokens: 1000}\n", "proxy"),
        ("name: [\n", "line"),
    ],
    ids=lambda value: str(value).split(":")[0],
)
@pytest.mark.parametrize("command", [("run",), ("study", "create")], ids=" ".join)
def test_a_bad_spec_is_one_line_and_creates_nothing(
    formulary: Formulary, spec: Path, command: tuple[str, ...], change: str, field: str
) -> None:
    key = change.split(":")[0]
    kept, skipping = [], False
    for line in spec.read_text().splitlines():
        skipping = line.startswith(f"{key}:") or (skipping and line.startswith(" "))
        kept += [] if skipping else [line]
    spec.write_text("\n".join(kept) + "\n" + change)
    error = formulary(*command, spec, status=1).stderr
    assert field in error
    assert json.loads(formulary("study", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "missing.yaml"),
        ("study", "show", 999),
        ("formulas", 999),
        ("study", "cancel", 999),
        ("import", "missing.csv", "--name", "x", "--objective", "bits_per_byte"),
        ("export", 999, "--format", "hf", "--out", "nowhere"),
        ("pretrain", "missing"),
        ("migrate", "--database-url", "mysql://host/name"),
        ("study", "list", "--database-url", "not an address"),
        ("study", "list", "--database-url", "postgresql://127.0.0.1:1/name"),
        ("study", "list", "--home", "/dev/null"),
    ],
    ids=lambda value: " ".join(map(str, value[:2])),
)
def test_errors_are_one_line(formulary: Formulary, arguments: tuple[object, ...]) -> None:
    formulary(*arguments, status=1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("bogus",),
        ("study", "show", "none"),
        ("study", "show", 0),
        ("study", "list", "--bogus"),
        ("export", 1, "--format", "hf"),
        ("export", 1, "--format", "hf", "--out", "x", "--trial", "worst"),
        ("import", "runs.csv", "--name", "x"),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_bad_usage_ends_with_2(formulary: Formulary, arguments: tuple[object, ...]) -> None:
    assert "Error" in formulary(*arguments, status=2).stderr


@pytest.mark.parametrize(("name", "amount"), [("cpu", 1000), ("gpu", 64)])
def test_run_refuses_what_this_machine_lacks_before_it_stores_anything(
    formulary: Formulary, spec: Path, name: str, amount: int
) -> None:
    spec.write_text(spec.read_text() + f"resources_per_trial: {{{name}: {amount}}}\n")
    assert f"resources_per_trial.{name}: a trial asks for {amount}" in formulary("run", spec, status=1).stderr
    assert json.loads(formulary("study", "list", "--json").stdout) == []


def test_an_error_neither_steers_the_terminal_nor_fills_it(formulary: Formulary, spec: Path) -> None:
    for key in (r"\e[31m", "x" * 900):
        spec.write_text(f'"{key * 10}": 1')
        error = formulary("study", "create", spec, status=1).stderr.rstrip("\n")
        assert error.isprintable()
        assert len(error) < 2500


def test_import_refuses_a_bad_table_by_line(formulary: Formulary, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    error = formulary("import", tmp_path / "empty.csv", "--name", "x", "--objective", "bits_per_byte", status=1).stderr
    assert "empty.csv: is empty" in error
    runs.write_bytes(runs.read_bytes() + b"1,2\n")
    assert "line 50" in formulary("import", runs, "--name", "x", "--objective", "bits_per_byte", status=1).stderr
    assert "direction" in formulary("import", runs, "--name", "x", "--objective", "bits_per_byte:up", status=1).stderr
    assert "metric" in formulary("import", runs, "--name", "x", "--objective", "speed", status=1).stderr


def test_home_and_database_are_accepted_before_and_after(formulary: Formulary, runs: Path, tmp_path: Path) -> None:
    place = ("--home", tmp_path / "other", "--database-url", f"sqlite:///{tmp_path}/other.db")
    formulary(*place, "import", runs, "--name", "there", "--objective", "bits_per_byte")
    for arguments in (
        ("study", "list", "--json", *place),
        (*place, "study", "list", "--json"),
        ("study", *place, "list", "--json"),
        ("--database-url", "sqlite:////nowhere/x.db", "study", "list", "--json", *place),
    ):
        assert [study["name"] for study in json.loads(formulary(*arguments).stdout)] == ["there"]
    assert json.loads(formulary("study", "list", "--json").stdout) == []


def test_a_corpus_beside_the_spec_or_below_a_root_is_found(
    formulary: Formulary, spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    words = tmp_path / "words.txt"
    text = words.read_text()
    words.unlink()
    assert "proxy.corpus.path" in formulary("study", "create", spec, status=1).stderr
    for folder, options, environment in (
        (tmp_path, (), {}),
        (tmp_path / "elsewhere", (), {}),
        (tmp_path / "home" / "corpora", (), {}),
        (tmp_path / "given", ("--corpus-root", tmp_path / "given"), {}),
        (tmp_path / "env", (), {"FORMULARY_CORPUS_ROOTS": f"/nowhere{os.pathsep}{tmp_path / 'env'}"}),
    ):
        folder.mkdir(exist_ok=True, parents=True)
        (folder / "words.txt").write_text(text)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            study = formulary("study", "create", spec, *options).stdout.strip()
        stored = json.loads(formulary("study", "show", study, "--json").stdout)
        assert stored["spec"]["proxy"]["corpus"]["path"] == str((folder / "words.txt").resolve())
        (folder / "words.txt").unlink()


def test_help_teaches_by_example(formulary: Formulary) -> None:
    commands = ["run", "serve", "login-link", "demo", "worker", "import", "formulas", "export", "pretrain", "migrate"]
    groups = [("study", verb) for verb in ("create", "list", "show", "pause", "resume", "stop", "cancel", "delete")]
    for command in [(), *((name,) for name in commands), *groups]:
        text = formulary(*command, "--help").stdout
        assert "Examples:\n    formulary " in text
        assert "--home" in text
        assert "--database-url" in text


def test_version(formulary: Formulary) -> None:
    assert formulary("--version").stdout == "formulary 0.1.0\n"


def test_migrate(formulary: Formulary, tmp_path: Path) -> None:
    formulary("migrate")
    assert (tmp_path / "home" / "formulary.db").is_file()
