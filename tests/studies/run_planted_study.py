"""Runs a study whose trials are planted: ``python run_planted_study.py DATABASE_URL STUDY_ID STORAGE``."""

import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from search.problem import Report, TrialRequest
from search.tune import run_search
from studies.database import Database
from studies.runner import run_study

EVALUATIONS = 4
PAUSE_S = 0.05


def planted(requests: Sequence[TrialRequest]) -> Iterator[list[Report]]:
    """Losses that depend on the parameters alone, evaluated a few times."""
    for step in range(1, EVALUATIONS + 1):
        time.sleep(PAUSE_S)
        yield [_report(request, step) for request in requests]


def _report(request: TrialRequest, step: int) -> Report:
    value = float(request.parameters["depth"]) + 100 * float(request.parameters["learning_rate"])
    values = {"bits_per_byte": value + EVALUATIONS - step}
    return Report(request.number, step, values, step == EVALUATIONS, {}, {"planted": True})


if __name__ == "__main__":
    url, study_id, storage = sys.argv[1:]
    with Database(url) as database:
        ended = run_study(database, int(study_id), Path(storage), search=partial(run_search, objective=planted))
    print(ended.state)
