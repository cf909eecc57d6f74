"""Templates to HTML. Every value is escaped unless it is ``Markup``, which only this folder makes."""

from functools import cache
from typing import TYPE_CHECKING, Any

from fastapi.responses import HTMLResponse

from api.web import formula_cards, validation_cards, words

if TYPE_CHECKING:
    from jinja2 import Environment


def render(name: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Answer with a template; ``identity`` in the context (None when nobody is logged in) fills the header."""
    html = _environment().get_template(name).render({"identity": None, "code": int(status), **context})
    return HTMLResponse(html, status, {"Cache-Control": "no-store"})


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # only pages need it

    environment = Environment(
        loader=PackageLoader("api.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(words.FILTERS)
    environment.filters.update(formula_cards.FILTERS)
    environment.filters.update(validation_cards.FILTERS)
    return environment
