"""A campaign whose trials are planted: the numbers and points of its studies are real, their losses a formula."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from search.events import Observer, TrialCompleted, TrialFailed, TrialStarted
from search.orders import Look
from search.plan import Plan
from search.problem import PastTrial, PlannedTrial, SearchProblem
from studies.database import Database
from studies.records import StudyState, Trial, TrialState
from studies.repository import studies, trials
from studies.spec import StudySpec, search_problem

Loss = Callable[[Mapping[str, Any]], float | None]
"""Bits per byte of a run by its settings, the proxy section's and its own; None where it fails."""


def document() -> dict[str, Any]:
    """Three stages: a vocabulary, a network at an equal budget, and a learning rate; two of them are rungs."""
    return {
        "name": "tiny paper",
        "baseline": {
            "proxy": {
                "corpus": {"kind": "text", "path": "text.txt"},
                "train_bytes": 20_000,
                "validation_bytes": 1000,
                "vocabulary_size": 300,
                "sequence_length": 32,
                "width": 32,
                "depth": 2,
                "head_dim": 16,
                "batch_tokens": 128,
            },
            "constraints": {"total_parameters": {"target": 300_000, "tolerance": 0.03, "solve_for": "width"}},
            "parallel_trial_count": 2,
        },
        "stages": [
            {
                "name": "tokenizer",
                "adopt": ["vocabulary_size"],
                "rung": "tokenizer",
                "study": {
                    "space": {"vocabulary_size": {"type": "categorical", "choices": [300, 400, 500]}},
                    "sampler": {"kind": "grid"},
                    "max_trial_count": 3,
                },
            },
            {
                "name": "architecture",
                "adopt": ["depth", "width"],
                "rung": "architecture",
                "study": {
                    "space": {"depth": {"type": "categorical", "choices": [1, 2, 4, 6]}},
                    "inner": {"seed": [0, 1]},
                    "sampler": {"kind": "grid"},
                    "max_trial_count": 8,
                },
            },
            {
                "name": "rate",
                "adopt": ["learning_rate"],
                "study": {
                    "space": {"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-2, "log": True}},
                    "sampler": {"kind": "random"},
                    "seeds": {"count": 2, "leaders": 2},
                    "max_trial_count": 8,
                },
            },
        ],
        "ladder": {"seeds": 3, "first_seed": 100},
    }


def planted_loss(settings: Mapping[str, Any]) -> float:
    """Best at a vocabulary of 400, a depth of 4 and a rate of 0.004, with a wobble by seed."""
    vocabulary = ((settings["vocabulary_size"] - 400) / 100) ** 2
    rate = math.log(settings["learning_rate"] / 0.004) ** 2
    return 3.0 + 0.1 * vocabulary + 0.05 * (settings["depth"] - 4) ** 2 + 0.02 * rate + 0.001 * (settings["seed"] % 3)


def train(database: Database, study_id: int, loss: Loss = planted_loss, lost: str = "out of memory") -> None:
    """Store the trials of a study as if they had been run, and end it; ``lost`` is why those without a loss failed."""
    with database.session() as session:
        stored = studies.get(session, study_id)
        assert stored is not None
        spec = StudySpec.model_validate(stored.spec)
        plan = Plan(search_problem(spec, f"study-{study_id}", Path()), [])
        ended = []
        while group := plan.start_next():
            for planned in group:
                value = loss({**spec.proxy.model_dump(), **planned.parameters, **planned.attributes})
                ended.append(_ended(planned, value, lost))
                plan.end(planned.number, None if value is None else (value,))
        trials.add_many(session, study_id, ended)
        any_complete = any(trial.state is TrialState.COMPLETE for trial in ended)
        state = StudyState.COMPLETED if any_complete else StudyState.FAILED
        studies.set_state(session, study_id, state, error=None if any_complete else "no trial completed")


class PlantedSearch:
    """What ``search.ahead.run_search`` does, with planted losses, in this process.

    Args:
        interrupted_after: trials after which it is interrupted, once.
        loss: of a run.
    """

    def __init__(self, interrupted_after: int = 1_000_000, loss: Loss = planted_loss) -> None:
        self.left = interrupted_after
        self.loss = loss

    def __call__(
        self,
        problem: SearchProblem,
        history: Sequence[PastTrial],
        observer: Observer,
        should_stop: Callable[[], bool],
        *,
        ray_address: str | None,
        look: Look,
    ) -> None:
        plan, settings = Plan(problem, history, look), problem.space.settings.model_dump()
        while group := plan.start_next():
            for trial in group:
                if self.left == 0:
                    self.left = -1
                    raise KeyboardInterrupt
                self.left -= 1
                observer(TrialStarted(trial.number, trial.parameters, trial.attributes))
                value = self.loss({**settings, **trial.parameters})
                failed = TrialFailed(trial.number, "out of memory")
                ended = failed if value is None else TrialCompleted(trial.number, {"bits_per_byte": value}, {})
                observer(ended)
                plan.end(trial.number, None if value is None else (value,))


def _ended(planned: PlannedTrial, value: float | None, lost: str) -> Trial:
    state = TrialState.FAIL if value is None else TrialState.COMPLETE
    metrics = {} if value is None else {"bits_per_byte": value}
    reason = lost if value is None else None
    now = datetime.now(UTC)
    return Trial(planned.number, state, planned.parameters, metrics, planned.attributes, reason, 1, now, now)
