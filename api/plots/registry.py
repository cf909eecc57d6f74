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
from studies.service import overviews

FORMULA = "formula-"
Builder = Callable[[Session, str, int], Json]


def _learning_curves(session: Session, owner: str, study_id: int) -> Json:
    drawn = overviews.drawing(session, owner, study_id, overviews.MAX_DRAWN_CURVES)
    return learning_curves(drawn, overviews.learning_curves(session, drawn))


FIGURES: Mapping[str, Builder] = {
    "learning-curves": _learning_curves,
    "history": lambda session, owner, study_id: history(overviews.drawing(session, owner, study_id)),
    "objective-by-parameter": lambda session, owner, study_id: objective_by_parameter(
        overviews.drawing(session, owner, study_id)
    ),
}


def names(session: Session, owner: str, study_id: int) -> list[str]:
    """Names of the figures that a study has."""
    formulas = service.list_formulas(session, owner, study_id)
    return [*FIGURES, *(FORMULA + formula.id for formula in formulas)]


def figure(session: Session, owner: str, study_id: int, name: str) -> Json:
    """Build a figure: ``data`` and ``layout`` for plotly.js.

    Raises:
        NotFound: the owner has no such study, or it has no such figure; names those that it has.
    """
    if name in FIGURES:
        return FIGURES[name](session, owner, study_id)
    for formula in service.list_formulas(session, owner, study_id):
        if name == FORMULA + formula.id:
            return formula_figure(formula)
    known = ", ".join(names(session, owner, study_id))
    raise NotFound(f"study {study_id} has no plot {name[:100]!r}; it has {known}")
