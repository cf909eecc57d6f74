"""A finished study whose recipe can be validated, planted without training."""

import pytest

from studies.validation.plan import Evidence
from tests.studies.validation.planted import planted_trials, study_spec


@pytest.fixture
def evidence() -> Evidence:
    spec = study_spec()
    return Evidence(spec, planted_trials(spec), (), 1e12, 0)
