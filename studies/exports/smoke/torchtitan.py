"""Try what torchtitan trains: in a process of its own where it is installed, else against what it documents."""

import json
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from studies.exports.run import Run
from studies.exports.smoke.counting import decoder_parameters
from studies.exports.smoke.framework import Documented, try_framework
from studies.exports.smoke.result import SmokeTest, SmokeTestFailed

DOCUMENTED = "0.2.2"
"""The release whose ``torchtitan/config/job_config.py`` and ``models/qwen3/model/args.py`` the schema follows."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Job(_Section):
    dump_folder: str
    description: str


class _Experimental(_Section):
    custom_import: str


class _Model(_Section):
    name: str
    flavor: str
    hf_assets_path: str


class _Optimizer(_Section):
    name: Literal["Adam", "AdamW"]
    lr: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float


class _LRScheduler(_Section):
    warmup_steps: int
    decay_type: Literal["linear", "sqrt", "cosine"]
    decay_ratio: float | None = None
    min_lr_factor: float


class _Training(_Section):
    dataset: Literal["c4", "c4_test"]
    dataset_path: str
    local_batch_size: int
    global_batch_size: int
    seq_len: int
    max_norm: float
    steps: int
    dtype: Literal["bfloat16", "float32"]
    mixed_precision_param: Literal["bfloat16", "float32"]


class _Checkpoint(_Section):
    enable: bool
    folder: str
    interval: int
    initial_load_path: str
    initial_load_in_hf: bool
    last_save_model_only: bool


class _Metrics(_Section):
    log_freq: int
    enable_tensorboard: bool


class _Debug(_Section):
    seed: int


class JobConfigFile(_Section):
    """The sections of ``train.toml``, of those that ``JobConfig`` has."""

    job: _Job
    experimental: _Experimental
    model: _Model
    optimizer: _Optimizer
    lr_scheduler: _LRScheduler
    training: _Training
    checkpoint: _Checkpoint
    metrics: _Metrics
    debug: _Debug


class ModelArgsFile(_Section):
    """The fields of ``model_args.json``, of those that ``Qwen3ModelArgs`` has."""

    dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    vocab_size: int
    head_dim: int
    hidden_dim: int
    norm_eps: float
    rope_theta: float
    qk_norm: bool
    max_seq_len: int
    enable_weight_tying: bool
    eos_id: int

    def parameters(self) -> int:
        """Parameters of ``Qwen3Model``."""
        return decoder_parameters(
            vocabulary=self.vocab_size,
            width=self.dim,
            depth=self.n_layers,
            query_width=self.n_heads * self.head_dim,
            kv_width=self.n_kv_heads * self.head_dim,
            ffn_width=self.hidden_dim,
            head_norms=2 * self.head_dim if self.qk_norm else 0,
            tied=self.enable_weight_tying,
        )


def smoke(run: Run, folder: Path, storage: Path) -> SmokeTest:
    """Load config, network and weights with torchtitan's own classes, or compare them with their documentation.

    Raises:
        SmokeTestFailed: something does not fit.
    """
    documented = Documented(
        software=f"the fields that torchtitan {DOCUMENTED} documents",
        done="train.toml and model_args.json have fields of JobConfig and Qwen3ModelArgs alone, of their types.",
        parameters=_read(folder).parameters(),
    )
    plan = (run.plan.steps, run.plan.warmup_steps, run.plan.cooldown_steps)
    return try_framework("torchtitan", "studies.exports.smoke.torchtitan_check", run, folder, documented, *plan)


def _read(folder: Path) -> ModelArgsFile:
    try:
        JobConfigFile.model_validate(tomllib.loads((folder / "train.toml").read_text(encoding="utf-8")))
        content: Any = json.loads((folder / "model_args.json").read_text(encoding="utf-8"))
        return ModelArgsFile.model_validate(content)
    except (ValidationError, ValueError) as error:
        raise SmokeTestFailed("torchtitan", f"its files are not what torchtitan documents ({error})") from error
