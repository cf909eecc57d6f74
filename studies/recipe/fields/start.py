"""What the weights start from: a parent's, or draws and their scheme."""

from dataclasses import dataclass

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from model.inheritance.shapes import check_inheritable
from studies.recipe.basis import Basis
from studies.recipe.defaults import CITATIONS
from studies.recipe.evidence import Leaf
from studies.recipe.laws import INHERITANCE_KIND, INITIALIZATION_KIND, Winner, label, newest, winner
from studies.recipe.models import KnownModel
from studies.recipe.recipe import RecipeField, default_field, figures, formula_field, leaves
from trainer.inheritance.config import InheritanceConfig

SCHEME, DEVIATION = "initialization.scheme", "initialization.std"
START = "inheritance"
PARENT, NEURONS = f"{START}.parent", f"{START}.neurons"
BY_COMPARISON = {NEURONS: "inherit_method", f"{START}.layers": "inherit_layers"}
"""Leaves that a winner has, by its parameter; what it does not vary is the trial's."""
OF_PARENT = (PARENT, f"{START}.parent_train_flops")
"""What follows from the parent alone."""
NONE = "none"
SETTINGS = "InheritanceSettings"
OF_STUDY = "the study's section inherit"
"""Where a leaf comes from that the best trial, which inherits nothing, does not have."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Leaves of a part of the config, and what has to be said of them."""

    fields: tuple[RecipeField, ...]
    warnings: tuple[str, ...] = ()


def choose_scheme(basis: Basis) -> RecipeField:
    """The scheme that a decided comparison prefers, else the trial's.

    muP is another parametrisation, with other rates: it is neither left nor taken up for the sake of a comparison.
    """
    law = newest(basis.formulas, INITIALIZATION_KIND)
    said = "" if law is None else f"{label(law)} ({law.verdict}): {law.statement}"
    won, _ = winner(basis, INITIALIZATION_KIND)
    scheme = None if won is None else won.parameters.get("init_scheme")
    if won is None or scheme is None or "mup" in (scheme, basis.config.initialization.scheme):
        return basis.inherit(SCHEME, said)
    return formula_field(SCHEME, scheme, won.formula, won.note)


def choose_deviation(basis: Basis, architecture: ArchitectureConfig) -> RecipeField:
    """The scale of the initial weights; where it follows from the width, the note has its value."""
    if basis.config.initialization.std is not None:
        return basis.inherit(DEVIATION)
    value = basis.config.initialization.std_at(architecture.base_width)
    return basis.inherit(DEVIATION, f"left out, so that it is 1 / sqrt({architecture.base_width}) = {figures(value)}")


def choose_start(basis: Basis, architecture: ArchitectureConfig) -> Chosen:
    """Every leaf of ``inheritance``: by the winner of a decided comparison, else as the best trial started; where the
    target names a parent, from that.

    Raises:
        InvalidInput: the target's own parent cannot be inherited from; names ``parent``.
    """
    won, reason = _winner(basis)
    method = None if won is None else won.parameters.get("inherit_method")
    parent, tried = basis.models.parent, basis.config.inheritance
    if parent is not None and parent.given:
        _require(parent, architecture)
        return Chosen(_inherited(basis, parent, None if method == NONE else won, reason))
    wanted = tried is not None if method is None else method != NONE
    if not wanted:
        if won is not None and method is not None:
            return Chosen((formula_field(START, None, won.formula, won.note),))
        return Chosen((_drawn(basis, reason),))
    problem = _problem(parent, architecture)
    if parent is None or problem:
        return Chosen(
            (default_field(START, None, "drawn from the seed", problem),), (_draw_warning(tried is not None, problem),)
        )
    return Chosen(_inherited(basis, parent, won, reason))


def _winner(basis: Basis) -> tuple[Winner | None, str]:
    """The way to inherit that a decided comparison prefers."""
    won, reason = winner(basis, INHERITANCE_KIND)
    if won is not None and won.parameters.keys().isdisjoint(BY_COMPARISON.values()):
        return None, f"{label(won.formula)} compares runs that no parameter tells apart"
    return won, reason


def _drawn(basis: Basis, reason: str) -> RecipeField:
    """As the best trial, or a study without any, started: from draws."""
    quoted = "" if newest(basis.formulas, INHERITANCE_KIND) is None else reason
    return basis.inherit(START, quoted)


def _inherited(basis: Basis, parent: KnownModel, won: Winner | None, reason: str) -> tuple[RecipeField, ...]:
    """A field for each leaf of a start from ``parent``."""
    tried = basis.config.inheritance or basis.asked_start or InheritanceConfig(parent=parent.folder)
    config = tried.model_copy(update={"parent": parent.folder, "parent_train_flops": parent.train_flops})
    quoted = "" if newest(basis.formulas, INHERITANCE_KIND) is None else reason
    return tuple(_leaf(basis, name, value, parent, won, quoted) for name, value in leaves(config, f"{START}."))


def _leaf(basis: Basis, name: str, value: Leaf, parent: KnownModel, won: Winner | None, quoted: str) -> RecipeField:
    if name in OF_PARENT and parent.given:
        return RecipeField(name=name, value=value, source="target", reference="parent")
    preferred = None if won is None else won.parameters.get(BY_COMPARISON.get(name, ""))
    if won is not None and preferred is not None:
        return formula_field(name, preferred, won.formula, won.note)
    note = quoted if name == NEURONS else parent.said if name == PARENT else ""
    if basis.config.inheritance is not None:
        return basis.inherit(name, note)
    if basis.asked_start is not None:
        return default_field(name, value, OF_STUDY, note)
    cited, citation = CITATIONS.get(name, (value, SETTINGS))
    return default_field(name, value, citation if value == cited else SETTINGS, note)


def _require(parent: KnownModel, architecture: ArchitectureConfig) -> None:
    """Refuse the target's own parent where the network cannot start from it."""
    if parent.architecture is None:
        raise InvalidInput("parent", parent.problem, "give a folder with a network for transformers, or leave it out")
    check_inheritable(parent.architecture, architecture, "parent")


def _problem(parent: KnownModel | None, architecture: ArchitectureConfig) -> str:
    """Why the study's parent is of no use for this network; empty where it is."""
    if parent is None:
        return "no parent is known"
    if parent.architecture is None:
        return parent.problem
    try:
        check_inheritable(parent.architecture, architecture, "parent")
    except InvalidInput as error:
        return f"{parent.said} {error.reason}"
    return ""


def _draw_warning(tried: bool, problem: str) -> str:
    beginning = "The trials' weights were inherited" if tried else "Weights are best inherited"
    return (
        f"{beginning}, and those of this run are drawn, because {problem}: what was found holds for inherited ones. "
        "Give a parent for this target (--parent DIR)."
    )
