"""The figures of a study by their names."""

from collections.abc import Callable, Mapping
from pathlib import Path

from api.plots.comparisons import comparison_figure
from api.plots.depth import depth_figure
from api.plots.forgetting import forgetting_figure
from api.plots.formulas import formula_figure
from api.plots.history import history
from api.plots.layers import layer_figure
from api.plots.learning_curves import learning_curves
from api.plots.parameters import objective_by_parameter
from api.plots.pareto import hypervolume, pareto
from api.plots.rate_families import rate_figure
from api.plots.scaling import scaling_figure
from api.plots.style import Json
from api.plots.validations import validation_figure
from api.plots.vocabulary import vocabulary_figure
from studies import service
from studies.database import Session
from studies.errors import NotFound
from studies.formulas.formula import Formula, FormulaKind
from studies.records import TRAIN_LOSS
from studies.service import fronts, overviews
from studies.service.forgetting import forgetting, measures_forgetting
from studies.service.inherited import inheritance_record, inherits

FORMULA = "formula-"
VALIDATION = "validation-"
LAYER_IMPORTANCE = "layer-importance"
Builder = Callable[[Session, str, int, int | None], Json]
"""Draws a study of an owner, with one trial highlighted."""


def _learning_curves(session: Session, owner: str, study_id: int, trial: int | None) -> Json:
    drawn = overviews.drawing(session, owner, study_id, overviews.MAX_DRAWN_CURVES, trial)
    return learning_curves(drawn, overviews.learning_curves(session, drawn))


def _training_loss(session: Session, owner: str, study_id: int, trial: int | None) -> Json:
    drawn = overviews.drawing(session, owner, study_id, overviews.MAX_DRAWN_LOSSES, trial)
    return learning_curves(drawn, overviews.training_losses(session, drawn), TRAIN_LOSS)


def _drawing(session: Session, owner: str, study_id: int, trial: int | None) -> overviews.Drawing:
    return overviews.drawing(session, owner, study_id, highlighted=trial)


FIGURES: Mapping[str, Builder] = {
    "learning-curves": _learning_curves,
    "training-loss": _training_loss,
    "history": lambda *asked: history(_drawing(*asked)),
    "objective-by-parameter": lambda *asked: objective_by_parameter(_drawing(*asked)),
}


def _pareto(session: Session, owner: str, study_id: int, trial: int | None) -> Json:
    return pareto(fronts.drawn_front(session, owner, study_id, highlighted=trial), trial)


def _hypervolume(session: Session, owner: str, study_id: int, trial: int | None) -> Json:
    drawn = fronts.drawn_front(session, owner, study_id, most=0)
    return hypervolume(drawn, fronts.hypervolume_growth(drawn))


OF_SEVERAL_OBJECTIVES: Mapping[str, Builder] = {"pareto": _pareto, "hypervolume": _hypervolume}


OF_ROUNDS: Mapping[str, Builder] = {"forgetting": lambda *asked: forgetting_figure(forgetting(*asked))}


OF_KINDS: Mapping[FormulaKind, Callable[[Formula], Json]] = {
    "depth_width": depth_figure,
    "vocabulary": vocabulary_figure,
    "scaling": scaling_figure,
    "learning_rate_batch": rate_figure,
    "initialization": comparison_figure,
    "inheritance": comparison_figure,
    "multiple_rounds": comparison_figure,
}
"""Formulas that are drawn in a way of their own; the others by their axes."""


def names(session: Session, owner: str, study_id: int) -> list[str]:
    """Names of the figures that a study has."""
    formulas = service.list_formulas(session, owner, study_id)
    validations = service.list_validations(session, owner, study_id)
    return [
        *_figures(session, owner, study_id),
        *([LAYER_IMPORTANCE] if _inherits(session, owner, study_id) else []),
        *(FORMULA + formula.id for formula in formulas),
        *(f"{VALIDATION}{one.id}" for one in validations),
    ]


def _validation(session: Session, owner: str, study_id: int, name: str) -> service.JudgedValidation | None:
    found = service.list_validations(session, owner, study_id)
    return next((one for one in found if name == f"{VALIDATION}{one.id}"), None)


def _figures(session: Session, owner: str, study_id: int) -> Mapping[str, Builder]:
    spec = service.get_study(session, owner, study_id).spec
    several = OF_SEVERAL_OBJECTIVES if len(spec["objectives"]) > 1 else {}
    return {**FIGURES, **several, **(OF_ROUNDS if measures_forgetting(spec) else {})}


def _inherits(session: Session, owner: str, study_id: int) -> bool:
    return inherits(service.get_study(session, owner, study_id).spec)


def _layer_importance(session: Session, owner: str, study_id: int, storage: Path, trial: int | None) -> Json:
    """The table of a trial's parent, and the layers that the trial kept."""
    record = inheritance_record(session, owner, study_id, storage, trial)
    return layer_figure(None) if record is None else layer_figure(record.importance, record.layers)


def figure(session: Session, owner: str, study_id: int, name: str, storage: Path, trial: int | None = None) -> Json:
    """Build a figure: ``data`` and ``layout`` for plotly.js; ``trial`` is highlighted where trials are drawn.

    ``storage`` is where the records of inherited weights are.

    Raises:
        NotFound: the owner has no such study, or it has no such figure; names those that it has.
    """
    figures = _figures(session, owner, study_id)
    if name in figures:
        return figures[name](session, owner, study_id, trial)
    if name == LAYER_IMPORTANCE and _inherits(session, owner, study_id):
        return _layer_importance(session, owner, study_id, storage, trial)
    if name.startswith(FORMULA):
        formula = service.find_formula(session, owner, study_id, name.removeprefix(FORMULA))
        if formula is not None:
            return OF_KINDS.get(formula.kind, formula_figure)(formula)
    validation = _validation(session, owner, study_id, name)
    if validation is not None:
        return validation_figure(validation.judgement)
    known = ", ".join(names(session, owner, study_id))
    raise NotFound(f"study {study_id} has no plot {name[:100]!r}; it has {known}")
