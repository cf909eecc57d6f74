"""A ladder in words, for pages, terminals and write-ups: rows of texts from what the API answers."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from api.web.words import duration

Json = Mapping[str, Any]

HEADINGS = (
    "rung",
    "runs",
    "bits per byte",
    "95 % interval",
    "step",
    "interval",
    "verdict",
    "from the baseline",
    "interval",
    "verdict",
    "the paper's step",
)
COST_HEADINGS = ("study", "part", "FLOPs", "device time", "wall time")
LADDER_NOTE = (
    "Steps are differences in bits per byte at common fresh seeds: below zero is better. Their intervals hold all at "
    "once with 95 %, and the chance of any false improved or worse in the whole ladder is at most 5 % (Holm); the "
    "interval of a rung's mean holds by itself."
)
PAPER_NOTE = (
    "The paper's steps are changes of an average score over ten benchmarks, of networks with a billion parameters, "
    "where higher is better (arXiv 2402.02791, figure 1: 42.41, 44.11, 46.53, 49.79, 51.28). That is another quantity "
    "than bits per byte. Only whether a step went the same way, and which steps brought more, can be compared."
)
VERDICTS = {
    "improved": "improved",
    "worse": "worse",
    "undetermined": "undetermined",
    "same": "nothing adopted",
    None: "not yet",
}
TONES = {"improved": "good", "worse": "bad", "undetermined": "calm", "same": "calm", None: "active"}
"""Of badges on pages."""
SIGNS = {
    "same": "here too",
    "opposite": "here the other way",
    "undetermined": "here not decided",
    None: "here not tried",
}
ORDERS = {
    "as_in_the_paper": "as in the paper",
    "the_other_way": "the other way round than in the paper",
    "undetermined": "not decided",
}


def rung_rows(judgement: Json) -> Iterator[tuple[str, ...]]:
    """A row for each rung, under ``HEADINGS``."""
    score: float | None = None
    for rung in judgement["rungs"]:
        mean = rung["mean"]
        yield (
            rung["label"],
            runs_text(rung, judgement["finished"]),
            "–" if mean is None else f"{mean['estimate']:.4f}",
            "–" if mean is None else f"{mean['low']:.4f} to {mean['high']:.4f}",
            *difference_texts(rung["step"]),
            *difference_texts(rung["from_baseline"]),
            paper_text(score, rung),
        )
        score = rung["paper_score"] or score


def runs_text(rung: Json, finished: bool) -> str:
    """Runs with a value, and what became of the others."""
    lost = {"diverged": rung["diverged"], "missing" if finished else "to come": rung["missing"]}
    words = [f"{count} {what}" for what, count in lost.items() if count]
    return ", ".join([str(rung["runs"]), *words])


def difference_texts(found: Json | None) -> tuple[str, str, str]:
    """A difference, its interval and its verdict; empty of the baseline, which has none."""
    if found is None:
        return "", "", ""
    bounds = found["difference"]
    values = ("–", "–") if bounds is None else (_signed(bounds["estimate"]), _span(bounds))
    return *values, VERDICTS[found["verdict"]]


def paper_text(before: float | None, rung: Json) -> str:
    """What the paper's step did to its score, which was ``before``, and whether it went the same way here."""
    if rung["step"] is None:
        return ""
    if rung["paper_score"] is None:
        return "none"
    gain = "" if before is None else f" by {rung['paper_score'] - before:.2f} points of score"
    return f"improved{gain}; {SIGNS[rung['paper_sign']]}" if rung["step"]["verdict"] else f"improved{gain}"


def ladder_lines(judgement: Json) -> list[str]:
    """What the table of rungs does not say by itself; nothing before every run has ended."""
    if not judgement["finished"]:
        return []
    return [*_reason_lines(judgement), *_order_lines(judgement), *judgement["remarks"]]


def _order_lines(judgement: Json) -> Iterator[str]:
    """Whether the steps that brought more in the paper did so here."""
    for order in judgement["orders"]:
        claim = f"in the paper {order['larger']} brought more than {order['smaller']}"
        yield f"{claim}; here {_gain_text(order['gain'])}{ORDERS[order['verdict']]}"


def _gain_text(gain: Json | None) -> str:
    if gain is None:
        return ""
    more = "more" if gain["estimate"] >= 0 else "less"
    return f"it brought {abs(gain['estimate']):.4f} bits per byte {more} ({_span(gain)}): "


def _reason_lines(judgement: Json) -> Iterator[str]:
    """What verdicts do not say by themselves."""
    for before, rung in pairwise(judgement["rungs"]):
        for reason in rung["step"]["reasons"]:
            yield f"{rung['label']} against {before['label']}: {reason}"


def cost_rows(ladder: Json) -> Iterator[tuple[str, ...]]:
    """What each study took, under ``COST_HEADINGS``, and all of them."""
    for cost in ladder["costs"]:
        yield str(cost["study_id"]), cost["name"], *cost_texts(cost)
    yield "", "all", *cost_texts(ladder["total"])


def cost_texts(cost: Json) -> tuple[str, str, str]:
    """FLOPs, device time and wall time."""
    wall = cost["wall_seconds"]
    flops = f"{cost['train_flops'] + cost['inherit_flops']:.3g}"
    return flops, duration(cost["device_seconds"]), "–" if wall is None else duration(wall)


def _signed(value: float) -> str:
    return f"{value:+.4f}"


def _span(bounds: Json) -> str:
    return f"{_signed(bounds['low'])} to {_signed(bounds['high'])}"


def rows_with_verdicts(judgement: Json) -> Sequence[Json]:
    """Rungs as a page shows them: the texts of their row, and the tones of their verdicts."""
    return [
        {
            "texts": row,
            "step_tone": TONES[rung["step"]["verdict"]] if rung["step"] else None,
            "baseline_tone": TONES[rung["from_baseline"]["verdict"]] if rung["from_baseline"] else None,
        }
        for row, rung in zip(rung_rows(judgement), judgement["rungs"], strict=True)
    ]
