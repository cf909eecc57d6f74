"""The laws: plain rows in, formulas with intervals and verdicts out."""

from studies.formulas.evaluation import Evaluation, evaluate
from studies.formulas.formula import Formula
from studies.formulas.observations import FitContext, Observation
from studies.formulas.registry import LAWS, fit_all

__all__ = ["LAWS", "Evaluation", "FitContext", "Formula", "Observation", "evaluate", "fit_all"]
