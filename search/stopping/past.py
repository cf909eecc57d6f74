"""Stopping rules of a search that goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from search.events import Value
from search.origins import ORIGIN
from search.problem import PastTrial, SearchProblem
from search.stopping import StoppingRule, stopping_rule
from trainer.config import evaluation_numbers


def informed_rule(problem: SearchProblem, history: Sequence[PastTrial]) -> StoppingRule:
    """The rule that ``problem`` names, knowing what earlier trials reported."""
    rule = stopping_rule(problem.scheduler, problem.space.settings.evaluations, problem.sampler.seed)
    made = made_evaluations(problem)
    for trial in history:
        if is_judged(trial.attributes):
            for evaluation, value in zip(made, trial.evaluations, strict=False):
                rule.report(trial.number, evaluation, value)
            if trial.state == "COMPLETE" and trial.values is not None:
                rule.report(trial.number, rule.last, trial.values[0])
    return rule


def made_evaluations(problem: SearchProblem) -> tuple[int, ...]:
    """The numbers of the evaluations that each trial reports, in order."""
    settings = problem.space.settings
    return evaluation_numbers(settings.evaluations, settings.annealed_evaluations)


def is_judged(attributes: Mapping[str, Value]) -> bool:
    """Whether a trial may be stopped: a replicate is one of a mean over seeds, which needs all of them whole."""
    return attributes.get(ORIGIN) != "replicate"


def at_full_length(history: Sequence[PastTrial], rule: StoppingRule) -> list[PastTrial]:
    """The same trials as a sampler is told of them: pruned ones with what they would have reached."""
    return [
        replace(trial, values=(rule.curves.expected_final(trial.number),))
        if trial.state == "PRUNED" and trial.evaluations
        else trial
        for trial in history
    ]
