"""What is said about a study when it has ended: its trials, the best one, its formulas."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console

from api.client import Client
from api.terminal.consoles import short, short_parameters
from api.terminal.formula_card import formula_card
from api.terminal.tables import trial_table
from studies.formulas.seed_noise import seed_noise

Json = dict[str, Any]


def print_report(console: Console, client: Client, study: Json) -> None:
    """Print the trials, and of a completed study its best trial and its formulas."""
    objective = study["spec"]["objectives"][0]
    trials = list(client.list_trials(study["id"]))
    console.print(trial_table(trials, objective["metric"], objective["direction"]))
    console.print()
    if study["state"] != "COMPLETED":
        console.print(f"study {study['id']} is {study['state']}")
        return
    best = client.best_trials(study["id"])
    if best:
        value = short(best[0]["metrics"][objective["metric"]])
        parameters = short_parameters(best[0]["parameters"])
        console.print(
            f"best trial {best[0]['number']}: {objective['metric']} {value} with {parameters}", soft_wrap=True
        )
    print_seed_noise(console, trials, objective["metric"])
    formulas = client.list_formulas(study["id"])
    for formula in formulas:
        console.print(formula_card(formula))
    if not formulas:
        console.print("no formula: no law applies to what this study varied")


def print_seed_noise(console: Console, trials: Iterable[Json], metric: str) -> None:
    """Print how far runs of one config lie apart, where the study had several seeds."""
    ended = (trial for trial in trials if trial["state"] == "COMPLETE" and metric in trial["metrics"])
    noise = seed_noise((trial["parameters"], trial["metrics"][metric]) for trial in ended)
    if noise is not None:
        deviation = f"standard deviation {short(noise.standard_deviation)}"
        console.print(f"{metric} between seeds: {deviation}, {noise.degrees_of_freedom} degrees of freedom")


def print_next_steps(console: Console, study: Json, home: str) -> None:
    """Print the commands that make a model of a completed study; ``home`` is the option they need."""
    if study["state"] == "COMPLETED":
        export = f"formulary {home}export {study['id']} --format hf"
        console.print(f"next, the best trial as a model to train: {export} --out best", soft_wrap=True)
        console.print(f"or a larger one: {export} --out larger --total-parameters N --tokens D", soft_wrap=True)
