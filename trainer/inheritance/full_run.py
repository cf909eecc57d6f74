"""The start of a full run: computed by its first process, and remembered in its folder for when it is resumed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.errors import InvalidInput
from model.inheritance.folder import parent_folder
from trainer.cache import write_atomically
from trainer.config import PretrainConfig
from trainer.inheritance.record import RECORD_FILE, read_record, record_folder
from trainer.inheritance.start import Start, inherited_start, parent_fingerprint
from trainer.parallel.world import Messages, World
from trainer.text.data import PreparedData

FULL_RUN_FIELDS = {"proxy.corpus": "pretrain.corpus", "inherit": "pretrain.inheritance"}
"""How errors of ``inherited_start`` name fields, and where a full run has them."""


def start_of_full_run(
    folder: Path, config: PretrainConfig, data: PreparedData, storage: Path, world: World, messages: Messages
) -> Start | None:
    """Where a run that begins gets its weights; every process calls it, and the others find what the first one made.

    Raises:
        InvalidInput: as ``inherited_start``, or the processes find different weights.
        WriteFailed: the system could not write.
    """
    if config.inheritance is None:
        return None
    with messages.agreement(), _named_fields():
        if not config.inheritance.parent:  # as trainer.model_folders leaves it
            reason = "its folder cannot be read, and there is no checkpoint from which the run goes on"
            raise InvalidInput("inherit.parent", reason, "give back the parent, or the checkpoints")
        start = inherited_start(config, data, storage, world.device) if world.rank == 0 else None
    with messages.agreement(), _named_fields():
        start = start or inherited_start(config, data, storage, world.device)
        assert start is not None
        if world.rank == 0:
            write_atomically(folder / RECORD_FILE, start.record.model_dump_json(indent=2).encode())
    messages.check_same(
        start.fingerprint(),
        "inheritance",
        f"the processes do not find the same initial weights below {storage}",
        "use storage that all nodes share",
    )
    return start


@contextmanager
def _named_fields() -> Iterator[None]:
    """Name a full run's fields where an error names a proxy's."""
    try:
        yield
    except InvalidInput as error:
        field = error.field
        for ours, full in FULL_RUN_FIELDS.items():
            if field == ours or field.startswith(f"{ours}."):
                field = full + field.removeprefix(ours)
                break
        raise InvalidInput(field, error.reason, error.remedy) from error


def remembered_start(folder: Path, config: PretrainConfig, storage: Path) -> Start | None:
    """Where a run that is resumed got its weights, which are not needed again.

    Raises:
        InvalidInput: the config names another parent by now, or nothing tells which it was; one that is gone, or may
            not be read, is not asked for.
    """
    if config.inheritance is None:
        return None
    record = read_record(folder)
    if record is None:
        reason = f"{folder / RECORD_FILE} is missing or broken, which tells what the run started from"
        raise InvalidInput("checkpoints", reason, "restore it, or remove the checkpoints folder to start again")
    if config.inheritance.parent:
        found = parent_folder(Path(config.inheritance.parent), "pretrain.inheritance.parent")
        if parent_fingerprint(found, storage) != record.parent_fingerprint:
            reason = f"the run started from another parent than the one in {found.path}"
            raise InvalidInput("checkpoints", reason, "restore it, or remove the checkpoints folder to start again")
    return Start(record_folder(storage, record.key), record)
