"""A campaign as Markdown for a write-up: stages, formulas, ladder and cost, from what the API answers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from api.campaign_words import choice, chosen_text, nothing_adopted
from api.ladder_words import COST_HEADINGS, HEADINGS, LADDER_NOTE, PAPER_NOTE, cost_rows, ladder_lines, rung_rows
from api.web.words import number, plain

Json = Mapping[str, Any]
ESCAPED = "\\`*_[]<>|"
"""What would begin markup or end a cell."""


def campaign_markdown(campaign: Json, ladder: Json, formulas: Mapping[int, Sequence[Json]]) -> str:
    """Everything that a campaign came to.

    Args:
        campaign: as ``GET /v1/campaigns/{id}`` answers.
        ladder: as its ``/ladder`` does.
        formulas: of each of its studies, by the study's id.
    """
    parts = [*_head(campaign), *_stages(campaign), *_formulas(campaign, formulas), *_ladder(ladder)]
    return "\n\n".join(parts) + "\n"


def _head(campaign: Json) -> Iterator[str]:
    yield f"Campaign {campaign['id']}, {_plain(campaign['name'])}: {campaign['state'].lower()}"


def _stages(campaign: Json) -> Iterator[str]:
    headings = ("stage", "study", "trials", "winner", "adopted")
    yield markdown_table(headings, (_stage_row(stage) for stage in campaign["stages"]))


def _stage_row(stage: Json) -> tuple[str, ...]:
    study = "–" if stage["study_id"] is None else str(stage["study_id"])
    outcome = stage["outcome"]
    if outcome is None:
        return stage["name"], study, str(stage["ended"]), "–", "–"
    winner = outcome["winner"]
    how = chosen_text(winner["rule"], winner["runs"]) or f"trial {winner['trial']}"
    values = [f"{plain(name)} {_value(value)}" for name, value in winner["parameters"].items()]
    said = ", ".join([f"{number(winner['value'])} {plain(winner['metric'])} ({how})", *values])
    adopted = ", ".join(f"{plain(name)} {_value(value)}" for name, value in outcome["adopted"].items())
    return stage["name"], study, str(stage["ended"]), said, adopted or nothing_adopted(winner["current"])


def _value(value: object) -> str:
    return number(choice(value))


def _formulas(campaign: Json, formulas: Mapping[int, Sequence[Json]]) -> Iterator[str]:
    """Each law that was fitted to a stage: its statement, the paper's claims with their verdicts, the reasons."""
    for stage in campaign["stages"]:
        for formula in formulas.get(stage["study_id"] or 0, ()):
            yield f"**{_plain(stage['name'])}: {_plain(plain(formula['kind']))}.** {_plain(formula['statement'])}"
            rows = list(_claims(formula))
            if rows:
                yield markdown_table(("claim", "estimate", "95 % interval", "the paper's region", "verdict"), rows)
            reasons = "; ".join(formula.get("reasons", ()))
            yield _plain(f"Verdict: {formula['verdict']}{': ' if reasons else ''}{reasons}.")


def _claims(formula: Json) -> Iterator[tuple[str, ...]]:
    for name, found in formula["coefficients"].items():
        claim = found["paper"]
        if claim is not None:
            low, high = found["low"], found["high"]
            interval = "–" if low is None and high is None else f"{_end(low, '-∞')} to {_end(high, '∞')}"
            region = f"{claim['formula']}: {_end(claim['region'][0], '-∞')} to {_end(claim['region'][1], '∞')}"
            yield plain(name), number(found["estimate"]), interval, region, found["verdict"] or "–"


def _end(value: float | None, open_end: str) -> str:
    return open_end if value is None else number(value)


def _ladder(ladder: Json) -> Iterator[str]:
    judgement = ladder["judgement"]
    if judgement is not None:
        yield markdown_table(HEADINGS, rung_rows(judgement))
        yield LADDER_NOTE
        yield PAPER_NOTE
        lines = ladder_lines(judgement)
        if lines:
            yield "\n".join(f"- {_plain(line)}" for line in lines)
    yield markdown_table(COST_HEADINGS, cost_rows(ladder))


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts."""
    lines = [headings, ["---"] * len(headings), *(list(map(_plain, row)) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _plain(text: str) -> str:
    """A text on one line that is no markup, whatever it holds."""
    shown = "".join(one if one.isprintable() else " " for one in text)
    return "".join(f"\\{one}" if one in ESCAPED else one for one in shown)
