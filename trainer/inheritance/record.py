"""What is kept of an inheritance: the table of layers, what was chosen, and what it cost; no torch."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from model.config import ArchitectureConfig, FrozenConfig
from model.errors import InvalidInput
from model.files import read_capped
from model.inheritance.layers import LayerImportance
from trainer.inheritance.config import InheritanceConfig, LayerMethod, NeuronMethod
from trainer.results import Value

FOLDER = "inheritance"
"""Name of the folder below the storage."""
RECORD_FILE = "inheritance.json"
TABLE_FILE = "importance.json"
FORMAT = 2
"""Of what is cached; raised whenever the same inputs would give other weights or another record."""
MAX_RECORD_BYTES = 2**20
"""Largest record that is read (assumed: one of a parent of 1024 layers has 100 KB)."""


class Kept(FrozenConfig):
    """Shares of the parent's units that the student has, between 0 and 1."""

    layers: float
    hidden: float
    heads: float
    """Of query heads."""
    ffn: float

    @classmethod
    def of(cls, parent: ArchitectureConfig, student: ArchitectureConfig) -> "Kept":
        """The shares of two shapes."""
        return cls(
            layers=student.depth / parent.depth,
            hidden=student.width / parent.width,
            heads=student.heads / parent.heads,
            ffn=student.ffn_width / parent.ffn_width,
        )


class InheritanceRecord(FrozenConfig):
    """How a network's initial weights were taken from a parent's."""

    key: str
    """Of the content that the weights follow from."""
    neurons: NeuronMethod
    layer_method: LayerMethod
    parent_fingerprint: str
    """SHA-256 over the parent's files."""
    parent: ArchitectureConfig
    importance: LayerImportance | None
    """Of the parent's layers; None where layers were not chosen by it."""
    layers: tuple[int, ...]
    """Kept layers of the parent."""
    kept: Kept
    token_share: float
    """Share of the student's tokens that the parent has."""
    calibration_bytes: int
    """UTF-8 bytes of the text that everything here was measured on, of the training side."""
    parent_bits_per_byte: float
    bits_per_byte: float
    """Of the student before training."""
    importance_flops: float
    """Also where the table was found in the cache."""
    score_flops: float
    """Of Taylor scores or a learned mask."""
    seconds: float
    """Of all this, without the table of layers where it was found in the cache."""

    @property
    def flops(self) -> float:
        """What inheriting costs beside the parent's training; the two measurements of bits per byte are not in it."""
        return self.importance_flops + self.score_flops


def inheritance_attributes(record: InheritanceRecord, config: InheritanceConfig) -> Mapping[str, Value]:
    """What a trial stores about its parent."""
    trained = config.parent_train_flops
    return {
        "inheritance_key": record.key,
        "inherit_method": record.neurons,
        "inherit_layers": record.layer_method,
        "parent_fingerprint": record.parent_fingerprint,
        "inherit_flops": record.flops,
        "inherited_bits_per_byte": record.bits_per_byte,
        **({} if trained is None else {"parent_train_flops": trained}),
    }


def record_folder(storage: Path, key: str) -> Path:
    """Where the weights and the record of a key are."""
    return storage / FOLDER / key


def read_record(folder: Path) -> InheritanceRecord | None:
    """Read the record of a folder; None where there is none, or one of another version."""
    try:
        content = read_capped(folder / RECORD_FILE, MAX_RECORD_BYTES, "inherit", "try again")
        return InheritanceRecord.model_validate_json(content)
    except (InvalidInput, ValidationError):
        return None


def read_table(folder: Path) -> LayerImportance | None:
    """Read the importance of layers in a folder of its own; None where there is none."""
    try:
        content = read_capped(folder / TABLE_FILE, MAX_RECORD_BYTES, "inherit", "try again")
        return LayerImportance.model_validate_json(content)
    except (InvalidInput, ValidationError):
        return None
