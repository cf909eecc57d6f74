"""Validations as a page shows them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from studies.service.validations import JudgedValidation
from studies.validation.judgement import TITLES, CandidateResult, GateVerdict


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate at one size, in words."""

    size: str
    """Only in the first row of a size."""
    name: str
    learning_rate: float
    batch_tokens: int
    runs: str
    mean: str
    difference: str
    interval: str


def validation_rows(validation: JudgedValidation) -> Iterator[Row]:
    """Every candidate at every size, the recipe first."""
    for planned, judged in zip(validation.plan.rungs, validation.judgement.rungs, strict=True):
        settings = {candidate.name: candidate for candidate in planned.candidates}
        differences = {row.rival: row.difference for row in judged.differences}
        for place, result in enumerate(judged.candidates):
            bounds, chosen = differences.get(result.name), settings[result.name]
            yield Row(
                size=f"{judged.total_parameters:,}" if place == 0 else "",
                name=TITLES[result.name],
                learning_rate=chosen.learning_rate,
                batch_tokens=chosen.batch_tokens,
                runs=_runs(result),
                mean="–" if result.mean is None else f"{result.mean:.4f}",
                difference="" if bounds is None else f"{bounds.estimate:+.4f}",
                interval="" if bounds is None else f"{bounds.low:+.4f} to {bounds.high:+.4f}",
            )


def _runs(result: CandidateResult) -> str:
    said = {"diverged": result.diverged, "missing": result.missing}
    return ", ".join([str(result.runs), *(f"{count} {word}" for word, count in said.items() if count)])


def validation_tone(verdict: GateVerdict | None) -> str:
    """The class of a verdict's badge."""
    return {"passed": "good", "failed": "bad", "undecided": "warn", None: "active"}[verdict]


FILTERS: Mapping[str, Any] = {"validation_rows": validation_rows, "validation_tone": validation_tone}
