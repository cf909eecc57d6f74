"""Where the weights of ended proxies lie below the storage root; no torch."""

import re
from pathlib import Path

from model.weight_files import WEIGHTS_FILE

WEIGHTS = "weights"
WEIGHTS_KEY = "weights_key"
"""Attribute of a trial that kept its weights."""
_KEY = re.compile("[0-9a-f]{64}")


def is_weights_key(value: object) -> bool:
    """Whether a value can name a folder, and no other place."""
    return isinstance(value, str) and _KEY.fullmatch(value) is not None


def weights_folder(storage: Path, key: str) -> Path:
    """The folder of kept weights, as ``transformers`` loads it."""
    return storage / WEIGHTS / key


def has_weights(folder: Path) -> bool:
    """Whether a folder holds weights; it appears with all of its files at once."""
    return (folder / WEIGHTS_FILE).is_file()
