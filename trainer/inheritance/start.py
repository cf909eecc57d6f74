"""Where a network that inherits starts: computed once for a content key, and read from then on.

The parent is in memory only while this is computed, before anything of the run's own is allocated.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from model.inheritance.folder import ParentFolder
from model.llama_weights import read_weights
from model.transformer import Transformer
from model.weight_files import WEIGHTS_FILE
from trainer.cache import cached_folder, content_key, file_fingerprint, write_atomically
from trainer.config import ProxyConfig
from trainer.inheritance.checks import check_inheritance
from trainer.inheritance.config import InheritanceConfig
from trainer.inheritance.making import Making
from trainer.inheritance.record import (
    FORMAT,
    InheritanceRecord,
    inheritance_attributes,
    read_record,
    record_folder,
)
from trainer.machine.devices import limit_gpu_memory
from trainer.machine.precision import resolve_precision
from trainer.results import Value
from trainer.text.cached_corpus import CachedCorpus
from trainer.text.data import PreparedData

SEEDED = frozenset({"random", "learned_mask"})
"""Methods that depend on the run's seed."""


@dataclass(frozen=True)
class Start:
    """Initial weights in a cache, and what is known of them."""

    folder: Path
    record: InheritanceRecord

    def weights(self, student: ArchitectureConfig) -> dict[str, Tensor]:
        """The weights under the names of the student's parameters, on the CPU.

        Raises:
            InvalidInput: the file was changed by another program.
        """
        with torch.device("meta"):
            network = Transformer(student)
        try:
            return read_weights([self.folder / WEIGHTS_FILE], network)
        except InvalidInput as error:
            reason = f"the weights kept in {self.folder} were changed by another program ({error.reason})"
            raise InvalidInput("inherit", reason, f"remove {self.folder}, so that they are made again") from error

    def fingerprint(self) -> str:
        """SHA-256 of the weights' file."""
        return file_fingerprint(self.folder / WEIGHTS_FILE)

    def attributes(self, config: InheritanceConfig) -> Mapping[str, Value]:
        """As trials store it."""
        return inheritance_attributes(self.record, config)


def inherited_start(config: ProxyConfig, data: PreparedData, storage: Path, device: torch.device) -> Start | None:
    """The start of a network whose config says that it inherits; None where it does not.

    Raises:
        InvalidInput: the parent cannot be read, its shape or tokenizer does not fit, or the memory does not suffice.
        WriteFailed: the system could not write.
    """
    settings = config.inheritance
    if settings is None:
        return None
    torch.set_num_threads(config.threads)
    limit_gpu_memory(config.gpu_share)
    found = check_inheritance(Path(settings.parent), config.architecture)
    making = Making(
        folder=found,
        fingerprint=parent_fingerprint(found, storage),
        student=config.architecture,
        settings=settings,
        seed=config.seed,
        corpus=CachedCorpus(config.corpus, config.validation_bytes, storage, "proxy.corpus"),
        tokenizer=data.tokenizer,
        precision=resolve_precision(config.precision, device),
        device=device,
    )
    key = _key(making, data)
    folder = record_folder(storage, key)
    cached_folder(folder, _is_whole, lambda partial: making.write(partial, key))
    record = read_record(folder)
    if record is None:
        raise InvalidInput("inherit", f"{folder} was changed by another program", "try again")
    return Start(folder, record)


def parent_fingerprint(folder: ParentFolder, storage: Path) -> str:
    """Of the parent's content; remembered under the stamp of its files, so that unchanged files are not read again."""
    stats = [(str(file), file.stat()) for file in folder.files]
    stamps = [(name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for name, stat in stats]
    memory = storage / "fingerprints" / content_key("parent", json.dumps(stamps))
    if not memory.exists():
        write_atomically(memory, folder.fingerprint().encode())
    return memory.read_text()


def _key(making: Making, data: PreparedData) -> str:
    """Of what determines the weights and what is recorded with them."""
    settings = making.settings
    return content_key(
        FORMAT,
        making.fingerprint,
        making.student.model_dump_json(),
        settings.neurons,
        settings.layers,
        settings.calibration_bytes,
        settings.mask_steps if settings.neurons == "learned_mask" else 0,
        making.seed if settings.neurons in SEEDED else 0,
        data.manifest.corpus_fingerprint,
        making.corpus.validation_bytes,
        data.manifest.tokenizer_fingerprint,
        making.precision,
    )


def _is_whole(folder: Path) -> bool:
    return read_record(folder) is not None and _has_all_bytes(folder / WEIGHTS_FILE)


def _has_all_bytes(file: Path) -> bool:
    """Whether a file of weights has the size that its header says."""
    try:
        with safe_open(file, framework="pt"):
            return True
    except (SafetensorError, OSError):
        return False
