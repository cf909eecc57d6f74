"""What a full run is told about its parent, in the fields that it has."""

from pathlib import Path

import pytest

from model.errors import InvalidInput
from tests.trainer.inheritance.conftest import Student
from trainer.config import PretrainConfig
from trainer.inheritance.full_run import start_of_full_run
from trainer.parallel.world import Messages, alone
from trainer.text.data import PreparedData


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"parent": ""}, "pretrain.inheritance.parent", "cannot be read, and there is no checkpoint"),
        ({"architecture": {"depth": 5}}, "pretrain.inheritance.parent", "has depth 4, the network 5"),
    ],
)
def test_errors_name_the_fields_of_a_full_run(
    student: Student,
    data: PreparedData,
    storage: Path,
    tmp_path: Path,
    changes: dict[str, object],
    field: str,
    said: str,
) -> None:
    proxy = student(**changes).model_dump()
    config = PretrainConfig.model_validate({**proxy, "tokenizer": "tokenizer.json", "checkpoint_every_steps": 10})
    with pytest.raises(InvalidInput, match=said) as caught:
        start_of_full_run(tmp_path, config, data, storage, alone(), Messages(alone()))
    assert caught.value.field == field
