"""A tiny campaign with a service whose workers are killed at every stage: each study is created once, all end."""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.chaos

Until = Callable[[Callable[[], object]], None]
CAMPAIGN = {
    "name": "killed on the way",
    "baseline": {
        "proxy": {
            "train_bytes": 20_000,
            "validation_bytes": 10_000,
            "vocabulary_size": 300,
            "sequence_length": 32,
            "width": 32,
            "depth": 1,
            "head_dim": 16,
            "batch_tokens": 256,
            "evaluations": 1,
        },
        "parallel_trial_count": 2,
    },
    "stages": [
        {
            "name": "depth",
            "adopt": ["depth"],
            "rung": "architecture",
            "study": {
                "space": {"depth": {"type": "int", "low": 1, "high": 2}},
                "sampler": {"kind": "grid"},
                "max_trial_count": 2,
            },
        },
        {
            "name": "parent",
            "study": {"proxy": {"depth": 4, "width": 64, "keep_weights": True}, "max_trial_count": 1},
        },
        {
            "name": "inheritance",
            "adopt": ["inherit"],
            "rung": "inheritance",
            "study": {
                "inherit": {"parent": {"kind": "stage", "stage": "parent"}, "calibration_bytes": 10_000},
                "space": {"inherit_method": {"type": "categorical", "choices": ["none", "l2"]}},
                "sampler": {"kind": "grid"},
                "max_trial_count": 2,
            },
        },
    ],
    "ladder": {"seeds": 3, "first_seed": 100},
}


def test_it_goes_on_however_often_its_worker_is_killed(service: Any, until: Until) -> None:
    def workers() -> list[int]:
        return [pid for pid, command in service.processes().items() if " worker --parent " in command]

    with service.client() as http:
        campaign = http.post("/v1/campaigns", json={"document": CAMPAIGN}).raise_for_status().json()["id"]

        def look() -> dict[str, Any]:
            return dict(http.get(f"/v1/campaigns/{campaign}").raise_for_status().json())

        def begun() -> int:
            found = look()
            return sum(part["state"] != "WAITING" for part in (*found["stages"], *found["rungs"]))

        for place in range(1, 4):
            until(lambda: begun() >= place or look()["state"] != "RUNNING")  # noqa: B023 (called within the loop)
            until(workers)
            os.kill(workers()[0], signal.SIGKILL)
        until(lambda: look()["state"] != "RUNNING")
        ended = look()
        assert (ended["state"], ended["error"]) == ("COMPLETED", None)
        parts = [*ended["stages"], *ended["rungs"]]
        assert len({part["study_id"] for part in parts}) == len(http.get("/v1/studies").json()["studies"])
        inherited = ended["stages"][2]["outcome"]["setting"]["inherit"]
        assert inherited is None or inherited["parent"]["study"] == ended["stages"][1]["study_id"]
        ladder = http.get(f"/v1/campaigns/{campaign}/ladder").raise_for_status().json()
        assert [rung["runs"] for rung in ladder["judgement"]["rungs"]] == [3, 3, 3]
