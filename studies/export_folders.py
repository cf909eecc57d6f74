"""Where exports lie below the storage root, and what deleting a study removes from there."""

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path

from trainer.weights_folder import is_weights_key, weights_folder

EXPORTS = "exports"

log = logging.getLogger(__name__)


def export_folder(export_id: int) -> str:
    """Folder of an export, relative to the storage root."""
    return f"{EXPORTS}/{export_id}"


def remove_exports(storage: Path, export_ids: Iterable[int]) -> None:
    """Remove the files of exports whose rows are gone, as far as there are any."""
    for export_id in export_ids:
        _remove(storage / export_folder(export_id))


def remove_weights(storage: Path, keys: Iterable[str]) -> None:
    """Remove kept weights that no trial names any more; what is no key names no folder."""
    for key in filter(is_weights_key, keys):
        _remove(weights_folder(storage, key))


def half_written(storage: Path) -> dict[Path, int]:
    """Folders that are being written, or were when their writer was killed, and the id of each one's export."""
    found = {path: path.name.split(".")[1] for path in (storage / EXPORTS).glob(".*.*")}
    return {path: int(export_id) for path, export_id in found.items() if export_id.isdecimal()}


def remove_half_written(folders: Iterable[Path]) -> None:
    """Remove folders that ``half_written`` found and that nobody writes any more."""
    for folder in folders:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder; a link is none."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        log.warning("%s was not removed: %s", folder, error)
