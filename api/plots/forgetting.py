"""The loss on each part of the first round along one trial, and when each part was trained."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.plots.learning_curves import thin
from api.plots.style import BLUE, GREY, ORANGE, PINK, PURPLE, Json, layout, text
from studies.service.forgetting import Curve, Forgetting
from trainer.rounds.plan import RoundPlan

SHADES = (BLUE, PURPLE, PINK, ORANGE)
"""From the first part to the last one; parts between them have colours between these."""
CURVES, BARS = (0.27, 1.0), (0.0, 0.16)
"""Shares of the height that the curves and the times of training take."""


def forgetting_figure(shown: Forgetting) -> Json:
    """Build the figure: curves above, below them a bar for each time in which a part was trained."""
    plan, colours = _plan(shown), {part: _colour(place, len(shown.parts)) for place, part in enumerate(shown.parts)}
    batch = _batch_tokens(shown)
    scale = batch or 1
    curves = [_curve(f"part {part}", curve, scale, colours[part]) for part, curve in shown.parts.items()]
    unseen = [_curve("unseen text", shown.unseen, scale, GREY, "dot")] if shown.unseen else []
    again = _told(shown).get("round_selection") != "fresh"
    bars = [_trained(plan, part, place, scale, colours[part], again) for place, part in enumerate(shown.parts) if plan]
    return {
        "data": [*unseen, *curves, *bars],
        "layout": layout(
            {"title": {"text": "training tokens" if batch else "training steps"}, "automargin": True, "anchor": "y2"},
            {"title": {"text": "loss (nats a token)"}, "automargin": True, "domain": CURVES},
            yaxis2=_bar_axis(len(shown.parts)),
            shapes=[_boundary(step * scale) for step in (plan.boundaries if plan else ())],
            annotations=[*(_rounds(plan, scale) if plan else []), _caption(shown)],
        ),
    }


def _told(shown: Forgetting) -> Mapping[str, Any]:
    return shown.trial.attributes if shown.trial else {}


def _plan(shown: Forgetting) -> RoundPlan | None:
    """The rounds that the trial tells of; it does at its end."""
    told = _told(shown)
    names = ("rounds", "parts", "first_round_steps", "later_round_steps")
    sizes = [told.get(name, 0) for name in names]
    if not all(isinstance(size, int) for size in sizes) or min(sizes[:3]) < 1:
        return None
    return RoundPlan(*sizes)


def _batch_tokens(shown: Forgetting) -> int | None:
    chosen = shown.trial.parameters.get("batch_tokens") if shown.trial else None
    batch = chosen or shown.study.spec.get("proxy", {}).get("batch_tokens")
    return batch if isinstance(batch, int) else None


def _colour(place: int, count: int) -> str:
    """A mixture of the two neighbours in ``SHADES``."""
    at = place / max(count - 1, 1) * (len(SHADES) - 1)
    left = min(int(at), len(SHADES) - 2)
    ends = [[int(shade[start : start + 2], 16) for start in (1, 3, 5)] for shade in SHADES[left : left + 2]]
    mixed = (round(first + (at - left) * (second - first)) for first, second in zip(*ends, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _curve(name: str, curve: Curve, scale: int, colour: str, dash: str = "solid") -> Json:
    drawn = thin(curve)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [step * scale for step, _ in drawn],
        "y": [loss for _, loss in drawn],
        "line": {"color": colour, "width": 2, "dash": dash},
        "marker": {"color": colour, "size": 5},
        "hovertemplate": f"<b>{name}</b><br>%{{x:,.0f}}: %{{y:.4f}}<extra></extra>",
    }


def _trained(plan: RoundPlan, part: int, place: int, scale: int, colour: str, again: bool) -> Json:
    """Bars from the first to the last step of a part in each round that trains on it."""
    ranges = [plan.part_bounds[part - 1 : part + 1]]
    taken = [sum(plan.taken[: part - 1]), sum(plan.taken[:part])]
    ranges += [tuple(boundary + end for end in taken) for boundary in plan.boundaries if again]
    x = [at for low, high in ranges for at in (low * scale, high * scale, None)]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": [place + 1] * len(x),
        "yaxis": "y2",
        "showlegend": False,
        "hoverinfo": "skip",
        "connectgaps": False,
        "line": {"color": colour, "width": 5},
    }


def _bar_axis(parts: int) -> Json:
    return {
        "title": {"text": "trained"},
        "domain": BARS,
        "range": [parts + 0.7, 0.3],
        "fixedrange": True,
        "showticklabels": False,
        "showgrid": False,
        "zeroline": False,
    }


def _boundary(at: float) -> Json:
    line = {"color": GREY, "width": 1, "dash": "dash"}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": line}


def _rounds(plan: RoundPlan, scale: int) -> Sequence[Json]:
    """A name at the beginning of each round."""
    starts = [0, *plan.boundaries] if plan.boundaries else []
    place = {"xref": "x", "yref": "paper", "y": 1, "xanchor": "left", "yanchor": "top", "showarrow": False}
    return [
        {**place, "x": start * scale, "text": f"round {number}", "font": {"size": 11}, "xshift": 3}
        for number, start in enumerate(starts, start=1)
    ]


def _caption(shown: Forgetting) -> Json:
    """Which trial it is."""
    place = {"xref": "paper", "yref": "paper", "x": 1, "y": 1, "xanchor": "right", "yanchor": "bottom"}
    return {**place, "text": _sentence(shown), "showarrow": False, "font": {"size": 11}}


def _sentence(shown: Forgetting) -> str:
    if shown.trial is None:
        return "no trial has measured the loss on its parts yet"
    told = _told(shown)
    said = [f"trial {shown.trial.number}"]
    if "round_selection" in told:
        said.append(f"later rounds by {text(told['round_selection'])} at {told.get('sampling_rate')}")
    return ", ".join(said)
