"""What is said about a study when it has ended: its trials, the best one, its formulas."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console

from api.client import Client
from api.terminal.consoles import short, short_parameters
from api.terminal.formula_card import formula_cards
from api.terminal.leaders import leader_text, print_leaders
from api.terminal.tables import trial_table
from studies.formulas.seed_noise import seed_noise
from studies.front import Front, find_front

Json = dict[str, Any]


def print_report(console: Console, client: Client, study: Json) -> None:
    """Print the trials, and of a completed study its best trial and its formulas."""
    objectives = study["spec"]["objectives"]
    trials = list(client.list_trials(study["id"]))
    front = front_of(objectives, trials)
    console.print(trial_table(trials, objectives, front))
    console.print()
    if study["state"] != "COMPLETED":
        console.print(f"study {study['id']} is {study['state']}")
        return
    print_best(console, client.best_trials(study["id"]), objectives)
    print_seed_noise(console, trials, objectives[0]["metric"])
    formulas = client.list_formulas(study["id"])
    for card in formula_cards(formulas):
        console.print(card)
    if not formulas:
        console.print("no formula: no law applies to what this study varied")


def print_best(console: Console, best: Json, objectives: Sequence[Mapping[str, str]]) -> None:
    """Print the best trial, or the knee of the front, of what the API answers; nothing before the first one."""
    of_front = best["knee"] is not None
    chosen = next((trial for trial in best["trials"] if not of_front or trial["number"] == best["knee"]), None)
    if chosen is None:
        return
    word = f"knee of the front of {best['front']} trials: trial" if of_front else "best trial"
    values = ", ".join(f"{of['metric']} {short(chosen['metrics'][of['metric']])}" for of in objectives)
    if best["leaders"]:
        values = f"{objectives[0]['metric']} {leader_text(best['leaders'][0])}"
    parameters = short_parameters(chosen["parameters"])
    console.print(f"{word} {chosen['number']}: {values} with {parameters}", soft_wrap=True)
    print_leaders(console, best, objectives[0]["metric"])


def front_of(objectives: Sequence[Mapping[str, str]], trials: Iterable[Json]) -> Front | None:
    """The Pareto front among trials as the API shows them; None with one objective, and before the first."""
    if len(objectives) == 1:
        return None
    values = {
        trial["number"]: tuple(trial["metrics"].get(of["metric"], math.nan) for of in objectives)
        for trial in trials
        if trial["state"] == "COMPLETE"
    }
    front = find_front([of["direction"] for of in objectives], values)
    return None if front.knee is None else front


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
        word = "knee of the front" if len(study["spec"]["objectives"]) > 1 else "best trial"
        console.print(f"next, the {word} as a model to train: {export} --out best", soft_wrap=True)
        console.print(f"or a larger one: {export} --out larger --total-parameters N --tokens D", soft_wrap=True)
