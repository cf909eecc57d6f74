"""Train two parents with ``formulary pretrain``, then students by every method; print what each method brought.

``python -m benchmarks.inheritance HOME`` keeps everything in HOME, and goes on there when it is started again.
"""

import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from api.client import Client, open_application
from api.settings import load_settings
from benchmarks.inheritance.design import PARENTS, VALIDATION_BYTES, ParentDesign, study
from benchmarks.inheritance.report import Student, at_best_rate, token_ratios
from trainer.config import BuiltinCorpus
from trainer.text.data import prepare

Json = dict[str, Any]


def train_parent(parent: ParentDesign, home: Path) -> Path:
    """Train a parent in its folder, as a user would."""
    folder = home / parent.name
    folder.mkdir(parents=True, exist_ok=True)
    data = prepare(BuiltinCorpus(), parent.vocabulary_size, VALIDATION_BYTES, home / "storage")
    shutil.copy(data.tokenizer_path, folder / "tokenizer.json")
    document = {"version": 1, "pretrain": parent.config.model_dump(mode="json")}
    (folder / "formulary.json").write_text(json.dumps(document), encoding="utf-8")
    run_command(home, "pretrain", str(folder))
    return folder


def run_command(home: Path, *arguments: str) -> None:
    """Run a command of Formulary on the home."""
    subprocess.run([sys.executable, "-m", "api.cli", *arguments, "--home", str(home)], check=True)


def run_students(parent: ParentDesign, folder: Path, home: Path) -> None:
    """Run the study of a parent's students."""
    spec = home / f"{parent.name}.yaml"
    spec.write_text(yaml.safe_dump(study(parent, str(folder))), encoding="utf-8")
    run_command(home, "run", str(spec), "--corpus-root", str(home))


def read_students(client: Client, study_id: int) -> tuple[list[Student], list[Json]]:
    """The students of a study, and its trials."""
    trials = list(client.list_trials(study_id))
    students = []
    for trial in trials:
        parameters, metrics = trial["parameters"], trial["metrics"]
        values = client.list_values(study_id, trial["number"])
        tokens = metrics.get("train_tokens", 0) / max((value["step"] for value in values), default=1)
        curve = [(value["step"] * tokens, value["value"]) for value in values if value["metric"] == "bits_per_byte"]
        final = metrics.get("bits_per_byte", float("inf"))
        known = parameters["inherit_method"], parameters["seed"], parameters["learning_rate"]
        students.append(Student(*known, final, sorted(curve)))
    return students, trials


def print_report(name: str, students: list[Student], trials: list[Json], formulas: list[Json]) -> None:
    """One line a method, then the verdicts."""
    methods = at_best_rate(students)
    print(f"\n{name}: method, rate, bits per byte, inherited better at so many seeds, tokens to the random start's end")
    for method, by_seed in methods.items():
        finals = [student.final for student in by_seed.values()]
        ratios = token_ratios(by_seed, methods["none"])
        better = sum(by_seed[seed].final < methods["none"][seed].final for seed in by_seed)
        rate, spread = next(iter(by_seed.values())).learning_rate, statistics.stdev(finals)
        loss, tokens = f"{statistics.mean(finals):.4f} ± {spread:.4f}", f"×{statistics.median(ratios):.2f}"
        print(f"  {method:13s} {rate:g}  {loss}  {better}/{len(finals)}  {tokens}")
        costs = [
            t["attributes"].get("inherit_flops", 0) / t["metrics"]["train_flops"]
            for t in trials
            if t["parameters"]["inherit_method"] == method and t["metrics"]
        ]
        print(f"{'':15s} its own cost over the student's training: {statistics.mean(costs):.2f}")
    for formula in formulas:
        print(f"  {formula['kind']}: {formula['verdict']}: {formula['statement']}")
        for name_of, coefficient in formula["coefficients"].items():
            print(f"    {name_of}: {coefficient}")


def main() -> None:
    """Train, run, print."""
    home = Path(sys.argv[1]).resolve()
    for parent in PARENTS:
        folder = train_parent(parent, home)
        run_students(parent, folder, home)
    with open_application(load_settings(home=home)) as application:
        for found in reversed(list(application.client.list_studies())):
            students, trials = read_students(application.client, found["id"])
            print_report(found["name"], students, trials, application.client.list_formulas(found["id"]))


if __name__ == "__main__":
    main()
