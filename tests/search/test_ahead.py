"""Processes that Ray starts ahead are those that Tune's actors take."""

import os

import pytest
from ray.tune.execution import class_cache

from search.cluster import TRIAL_ENVIRONMENT, quiet_environment


def test_processes_started_ahead_have_the_environment_of_tunes_actors(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in class_cache.ENV_VARS_TO_PROPAGATE:
        monkeypatch.delenv(name, raising=False)
    with quiet_environment():
        propagated = {name: os.environ[name] for name in class_cache.ENV_VARS_TO_PROPAGATE if name in os.environ}
    assert {**class_cache.DEFAULT_ENV_VARS, **propagated} == TRIAL_ENVIRONMENT
