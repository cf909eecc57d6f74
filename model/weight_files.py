"""Where a folder keeps its weights: one safetensors file, or shards and their index; no torch."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from model.errors import InvalidInput
from model.files import read_capped

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
MAX_JSON_BYTES = 16 * 2**20
"""Largest config or shard index that is read; one line of 80 bytes a tensor makes 200 000 tensors (derived)."""
REMEDY = f"give a folder with {WEIGHTS_FILE}, or shards and {INDEX_FILE}"

_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder: one, or the shards of its index.

    Raises:
        InvalidInput: there is none, only pickled weights, or a broken index.
    """
    if (folder / INDEX_FILE).is_file():
        return [folder / shard for shard in _shards(folder / INDEX_FILE)]
    if (folder / WEIGHTS_FILE).is_file():
        return [folder / WEIGHTS_FILE]
    pickled = sorted(file.name for file in folder.glob("*") if file.suffix in _PICKLED)
    if pickled:
        raise InvalidInput("weights", f"{pickled[0]} is pickled and could run code when opened", REMEDY)
    raise InvalidInput("weights", f"{folder} holds no {WEIGHTS_FILE}", REMEDY)


class _Index(BaseModel):
    weight_map: dict[str, Annotated[str, Field(pattern=r"^[\w.-]+\.safetensors$")]]


def _shards(index: Path) -> list[str]:
    content = read_capped(index, MAX_JSON_BYTES, "weights", REMEDY)
    try:
        return sorted(set(_Index.model_validate_json(content).weight_map.values()))
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise InvalidInput("weights", f"{INDEX_FILE} names no shards of the folder ({reason})", REMEDY) from error
