"""The folder of a network that others start from or learn from: what of it may be opened, and what it is; no torch.

Nothing in it was checked by anyone. Only JSON, safetensors and tokenizer files are opened, none of them through a link
that leaves the folder.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from model.config import ArchitectureConfig
from model.counts import count_parameters
from model.decoder_file import read_architecture
from model.errors import InvalidInput
from model.inheritance.shapes import FIELD
from model.tokenizer.reading import NAMES, tokenizer_files
from model.weight_files import INDEX_FILE, weight_files

TRAINED_FOLDER = "trained"
"""Where ``formulary pretrain`` leaves the network, below the folder of the run."""
MAX_PARAMETERS = 16 * 10**9
"""Largest parent (assumed: the paper's has 7 · 10⁹; in float32 this takes 64 GB of memory)."""
MAX_WEIGHT_BYTES = 4 * MAX_PARAMETERS + 2**30
"""Most bytes of weights that are read: float32, and the headers of the files (derived)."""
MAX_ANGLES = 2**27
"""Most positions times channels of a head, whose rotations are kept (assumed: 2²⁰ times 128, which take 0.5 GB)."""
_CONFIG_FILE = "config.json"
_EXPORT_FILE = "formulary.json"


@dataclass(frozen=True)
class ParentFolder:
    """The files of a trained network."""

    path: Path
    """``trained/`` where the folder of a run was given."""
    architecture: ArchitectureConfig
    weights: tuple[Path, ...]
    tokenizer: Path | None
    """None where there is none."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Config, weights and tokenizer, the merges of a vocabulary among them."""
        tokenizer = () if self.tokenizer is None else tokenizer_files(self.tokenizer)
        return (self.path / _CONFIG_FILE, *self.weights, *tokenizer)

    def fingerprint(self) -> str:
        """SHA-256 over the content of ``files``, in one pass."""
        digest = hashlib.sha256()
        for file in self.files:
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()


def parent_folder(path: Path, field: str = FIELD) -> ParentFolder:
    """Find the files of a ``transformers`` folder, LLaMA or Qwen3, or of one that ``formulary pretrain`` trained.

    Raises:
        InvalidInput: config or weights are missing, pickled, too large or of another kind, or a file is a link out of
            its folder. Its field begins with ``field``.
    """
    try:
        folder = _with_network(path)
        _check_own(folder, _CONFIG_FILE)
        architecture = read_architecture(folder / _CONFIG_FILE)
        _check_size(architecture)
        _check_own(folder, INDEX_FILE)
        weights = tuple(weight_files(folder))
        _check_weights(folder, weights)
        tokenizer = next((folder / name for name in NAMES if _check_own(folder, name)), None)
        for file in () if tokenizer is None else tokenizer_files(tokenizer):
            _check_own(folder, file.name)
        return ParentFolder(folder, architecture, weights, tokenizer)
    except InvalidInput as error:
        raise InvalidInput(f"{field}.{error.field}", error.reason, error.remedy) from error


def _with_network(path: Path) -> Path:
    """``trained/`` of a run, which may hold a config of its own beside it, else the folder."""
    trained = path / TRAINED_FOLDER
    if trained.is_symlink():
        raise InvalidInput("path", f"{trained} is a link", "replace the link by the folder")
    if trained.is_dir():
        return trained
    if (path / _EXPORT_FILE).exists():  # weights beside it are those that the training starts from
        reason = f"{path} holds no {TRAINED_FOLDER} folder: it was not trained, or transformers has no class for it"
        remedy = (
            "run `formulary pretrain` on it first, with block: llama; weights trained elsewhere get a folder of theirs"
        )
        raise InvalidInput("path", reason, remedy)
    if not path.is_dir():
        raise InvalidInput("path", f"{path} is no folder", "give a folder with config.json and safetensors")
    return path


def _check_own(folder: Path, name: str) -> bool:
    """Whether the folder has this file; it is then no pipe or device, and lies in the folder."""
    file = folder / name
    if not file.exists() and not file.is_symlink():
        return False
    if file.resolve().parent != folder.resolve():
        remedy = "copy the folder with what its links lead to, as by `cp -rL`"
        raise InvalidInput(name, f"{file} is a link out of its folder", remedy)
    if not file.is_file():
        raise InvalidInput(name, f"{file} is no regular file", "give a folder as transformers writes it")
    return True


def _check_size(architecture: ArchitectureConfig) -> None:
    total = count_parameters(architecture).total
    if total > MAX_PARAMETERS:
        reason = f"describes {total:.3g} parameters"
        raise InvalidInput("config", reason, f"give a network of at most {MAX_PARAMETERS:.3g}")
    if architecture.sequence_length * architecture.head_dim > MAX_ANGLES:
        longest = MAX_ANGLES // architecture.head_dim
        reason = f"has {architecture.sequence_length} positions and heads of {architecture.head_dim} channels"
        raise InvalidInput("config.max_position_embeddings", reason, f"write at most {longest}")


def _check_weights(folder: Path, files: tuple[Path, ...]) -> None:
    missing = [file.name for file in files if not _check_own(folder, file.name)]
    if missing:
        raise InvalidInput("weights", f"{missing[0]} is missing", "give all files that the index names")
    size = sum(file.stat().st_size for file in files)
    if size > MAX_WEIGHT_BYTES:
        reason = f"the files have {size} bytes"
        raise InvalidInput("weights", reason, f"give at most {MAX_WEIGHT_BYTES}, in the files of this network alone")
