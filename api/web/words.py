"""Numbers, times and states as people read them."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))
"""Seconds of each unit of a duration that is written in whole units."""
SUFFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"))
"""Of numbers from ten million on."""


def number(value: object) -> str:
    """A value in at most four significant digits; texts stay as they are."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if 1e4 <= abs(value) < 1e7:
        return f"{round(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    if value == int(value) and abs(value) < 1e4:
        return str(int(value))
    if 1e7 <= abs(value) < 1e15:
        size, suffix = next(pair for pair in SUFFIXES if abs(value) >= pair[0])
        return f"{value / size:.4g}{suffix}"
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """Seconds as 12 s, 3 min or 2 h 5 min."""
    if seconds < 60:
        return f"{max(seconds, 0):.0f} s"
    for place, (size, unit) in enumerate(UNITS):
        if seconds >= size:
            rest = "" if place + 1 == len(UNITS) else _rest(seconds % size, *UNITS[place + 1])
            return f"{int(seconds // size)} {unit}{rest}"
    return ""


def _rest(seconds: float, size: int, unit: str) -> str:
    return f" {int(seconds // size)} {unit}" if seconds >= size else ""


def age(moment: datetime) -> str:
    """How long ago ``moment`` was."""
    return f"{duration((datetime.now(UTC) - moment).total_seconds())} ago"


def plain(name: str) -> str:
    """A name of the interface as words: ``bits_per_byte`` as ``bits per byte``."""
    return name.replace("_", " ")


STUDY_TONES: Mapping[str, str] = {
    "QUEUED": "calm",
    "RUNNING": "active",
    "PAUSED": "warn",
    "STOPPING": "active",
    "COMPLETED": "good",
    "CANCELLED": "calm",
    "FAILED": "bad",
    "WAITING": "calm",
    "DELETED": "bad",
}
"""Tone of the badge of each state, of a campaign and its parts too."""


def study_tone(state: str) -> str:
    """Tone of the badge of a study's state."""
    return STUDY_TONES[state]


def share(part: float, whole: float) -> str:
    """A part of a whole in per cent, for a width."""
    return f"{100 * part / whole:.3f}" if whole else "0"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "number": number,
    "duration": duration,
    "age": age,
    "plain": plain,
    "study_tone": study_tone,
    "share": share,
}
