"""Specs of studies that would decide what a study left open."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.events import Value
from studies.formulas.formula import Formula
from studies.records import Trial
from studies.spec import MAX_TRIALS
from studies.specs.model_checks import INHERITING
from studies.specs.parsing import parse_spec

Json = dict[str, Any]
MAX_CHOICES = 12
"""Values of an imported parameter that are repeated one by one; more become a range (assumed)."""
LOG_RATIO = 3.0
"""A range whose ends differ by more is searched in logs (assumed)."""
PARTS = ("space", "inner")
PARENT_TO_GIVE = "PARENT"
"""Stands for the parent of runs that name none; no such folder is allowed, so that it cannot be run unread."""
INNER = ("learning_rate", "seed")
"""Parameters whose values every architecture is trained at, so that it is compared at its own best rate."""
IMPORTED_PROXY: Json = {"corpus": {"kind": "builtin"}, "train_bytes": 1_000_000}
"""Stands for the training of imported runs, which is not known: text that every machine has, and a short run."""
OF_THE_DESIGN: Json = {"purpose": "estimate", "sampler": None, "scheduler": None, "start": None, "seeds": None}
"""Verdicts come from a declared design: nothing is chosen by outcome."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A study that would decide a formula."""

    formula: str
    """Id of the formula."""
    reasons: Sequence[str]
    """What it lacks."""
    spec: Json


def suggested_spec(spec: Mapping[str, Any], formula: Formula, runs: Sequence[Trial] | None) -> Json:
    """The study's spec, changed as the formula's ``supply`` says.

    Args:
        spec: as it is stored.
        formula: what is to be decided.
        runs: the trials of an imported study, whose parameters become the space; None for others.

    Raises:
        InvalidInput: the changes do not fit the study.
    """
    base = _of_imported(spec, runs) if runs is not None else dict(spec)
    supply = formula.supply or {}
    changed = base
    name = f"{spec['name'][:150]}: {formula.kind}"
    for patch in ({**OF_THE_DESIGN, "name": name}, _replaced(base, supply), supply):
        changed = merged(changed, patch)
    if "max_trial_count" not in supply:
        changed["max_trial_count"] = _count(base, changed)
    changed = {**changed, "conditions": _conditions(changed)}
    if "inherit" not in changed and any(name in changed.get(part, {}) for part in PARTS for name in INHERITING):
        changed["inherit"] = {"parent": {"kind": "folder", "path": PARENT_TO_GIVE}}
    return parse_spec(changed).model_dump(mode="json", exclude_defaults=True) | {"version": 1}


def left_open(spec: Json) -> list[str]:
    """What a suggested spec cannot say, a line each."""
    parent = spec.get("inherit", {}).get("parent", {})
    if parent.get("path") != PARENT_TO_GIVE:
        return []
    return [f"its runs name no parent: write a folder or a trial in the place of {PARENT_TO_GIVE} in inherit.parent"]


def _conditions(changed: Json) -> Json:
    """The conditions of what is still varied by the sampler, on what still is."""
    space = changed.get("space", {})
    kept = {
        child: {parent: values for parent, values in parents.items() if parent in space}
        for child, parents in changed.get("conditions", {}).items()
        if child in space
    }
    return {child: parents for child, parents in kept.items() if parents}


def _replaced(base: Json, supply: Json) -> Json:
    """A patch that takes away what ``supply`` gives anew: a parameter wherever it stood, and another budget."""
    asked = {name for part in PARTS for name, said in supply.get(part, {}).items() if said is not None}
    budgets = {name for name, said in supply.get("constraints", {}).items() if _is_budget(said)}
    if budgets:
        asked.add("width")
    held = base.get("constraints", {}).items()
    return {
        **{part: dict.fromkeys(asked & base.get(part, {}).keys()) for part in PARTS},
        "constraints": dict.fromkeys(name for name, said in held if budgets and (_is_budget(said) or name in budgets)),
    }


def _is_budget(said: Any) -> bool:
    """Whether a constraint has a target, from which the width follows."""
    return isinstance(said, Mapping) and said.get("target") is not None


def merged(document: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396, section 2): null removes, objects merge, everything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(document) if isinstance(document, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def _count(base: Json, changed: Json) -> int:
    """As many outer points as before, each at its inner points."""
    before, after = (math.prod(len(values) for values in spec.get("inner", {}).values()) for spec in (base, changed))
    return int(min(math.ceil(base["max_trial_count"] / before) * after, MAX_TRIALS))


def _of_imported(spec: Mapping[str, Any], runs: Sequence[Trial]) -> Json:
    columns = {name: _values(name, runs) for name in spec["columns"]["parameters"]}
    varied = {name: values for name, values in columns.items() if len(values) > 1}
    inner = {name: values for name, values in varied.items() if name in INNER and len(values) <= MAX_CHOICES}
    fixed = {name: values[0] for name, values in columns.items() if len(values) == 1}
    space = {name: _parameter(values) for name, values in varied.items() if name not in inner}
    space |= {name: {"type": "categorical", "choices": [value]} for name, value in fixed.items()}
    return {
        "version": 1,
        "name": spec["name"],
        "objectives": spec["objectives"],
        "space": space,
        "inner": inner,
        "proxy": IMPORTED_PROXY,
        "max_trial_count": len(runs),
    }


def _values(name: str, runs: Sequence[Trial]) -> list[Value]:
    return sorted({run.parameters[name] for run in runs if name in run.parameters}, key=_order)


def _order(value: Value) -> tuple[bool, Value]:
    return isinstance(value, str), value


def _parameter(values: Sequence[Value]) -> Json:
    numbers = [value for value in values if isinstance(value, int | float)]
    if len(values) <= MAX_CHOICES or len(numbers) < len(values):
        return {"type": "categorical", "choices": list(values)}
    low, high = numbers[0], numbers[-1]
    whole = all(isinstance(value, int) for value in numbers)
    return {"type": "int" if whole else "float", "low": low, "high": high, "log": low > 0 and high / low > LOG_RATIO}
