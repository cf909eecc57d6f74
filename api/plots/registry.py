"""The figures of a study by their names."""

from collections.abc import Callable, Mapping

from api.plots.formulas import formula_figure
from api.plots.history import history
from api.plots.learning_curves import learning_curves
from api.plots.parameters import objective_by_parameter
from api.plots.style import Json
from studies import service
from studies.database import Session
from studies.errors import NotFound
from studies.records import TRAIN_LOSS
from studies.service import overviews

FORMULA = "formula-"
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


def names(session: Session, owner: str, study_id: int) -> list[str]:
    """Names of the figures that a study has."""
    formulas = service.list_formulas(session, owner, study_id)
    return [*FIGURES, *(FORMULA + formula.id for formula in formulas)]


def figure(session: Session, owner: str, study_id: int, name: str, trial: int | None = None) -> Json:
    """Build a figure: ``data`` and ``layout`` for plotly.js; ``trial`` is highlighted where trials are drawn.

    Raises:
        NotFound: the owner has no such study, or it has no such figure; names those that it has.
    """
    if name in FIGURES:
        return FIGURES[name](session, owner, study_id, trial)
    for formula in service.list_formulas(session, owner, study_id):
        if name == FORMULA + formula.id:
            return formula_figure(formula)
    known = ", ".join(names(session, owner, study_id))
    raise NotFound(f"study {study_id} has no plot {name[:100]!r}; it has {known}")
