"""Try what litgpt trains: in a process of its own where it is installed, else against what it documents."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from studies.exports.run import Run
from studies.exports.smoke.counting import decoder_parameters
from studies.exports.smoke.framework import Documented, try_framework
from studies.exports.smoke.result import SmokeTest, SmokeTestFailed

DOCUMENTED = "0.5.13"
"""The release whose ``litgpt/config.py``, ``args.py`` and ``pretrain.py`` the schema follows."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ModelConfig(_Section):
    """The network, of the fields that ``Config`` has, with the values that make it a LLaMA without biases."""

    name: str
    hf_config: dict[str, Any]
    block_size: int
    n_layer: int
    n_embd: int
    vocab_size: int
    padded_vocab_size: int
    norm_class_name: Literal["RMSNorm"]
    norm_eps: float
    norm_qk: bool
    parallel_residual: Literal[False]
    n_head: int
    head_size: int
    n_query_groups: int
    attn_bias: Literal[False]
    rope_base: int
    rotary_percentage: Annotated[float, Field(ge=1, le=1)]
    intermediate_size: int
    bias: Literal[False]
    mlp_class_name: Literal["LLaMAMLP"]
    lm_head_bias: Literal[False]


class _TextFilesArgs(_Section):
    train_data_path: str
    val_data_path: str
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    num_workers: int


class _TextFiles(_Section):
    class_path: Literal["litgpt.data.TextFiles"]
    init_args: _TextFilesArgs


class _Train(_Section):
    save_interval: int
    log_interval: int
    global_batch_size: Annotated[int, Field(ge=1)]
    micro_batch_size: Annotated[int, Field(ge=1)]
    lr_warmup_steps: int
    max_tokens: Annotated[int, Field(ge=1)]
    max_seq_length: int
    tie_embeddings: bool
    max_norm: float
    min_lr: float


class _Eval(_Section):
    interval: Annotated[int, Field(ge=1)]
    max_iters: int


class _Log(_Section):
    project: str
    run: str


class _AdamWArgs(_Section):
    lr: float
    weight_decay: float
    betas: Annotated[list[float], Field(min_length=2, max_length=2)]
    eps: float


class _AdamW(_Section):
    class_path: Literal["torch.optim.AdamW"]
    init_args: _AdamWArgs


class PretrainFile(_Section):
    """The arguments of ``litgpt pretrain``."""

    model_name: str
    network: Annotated[ModelConfig, Field(alias="model_config")]
    out_dir: str
    precision: Literal["bf16-true", "bf16-mixed", "32-true"]
    initial_checkpoint_dir: str
    resume: bool
    data: _TextFiles
    train: _Train
    eval: _Eval
    log: _Log
    optimizer: _AdamW
    devices: int | Literal["auto"]
    num_nodes: int
    tokenizer_dir: str
    logger_name: Literal["wandb", "tensorboard", "csv", "mlflow", "litlogger"]
    seed: Annotated[int, Field(ge=0, lt=2**32)]

    def parameters(self) -> int:
        """Parameters of ``GPT``, whose tables ``tie_embeddings`` makes one."""
        network = self.network
        return decoder_parameters(
            vocabulary=network.padded_vocab_size,
            width=network.n_embd,
            depth=network.n_layer,
            query_width=network.n_head * network.head_size,
            kv_width=network.n_query_groups * network.head_size,
            ffn_width=network.intermediate_size,
            head_norms=2 * network.head_size if network.norm_qk else 0,
            tied=self.train.tie_embeddings,
        )


def smoke(run: Run, folder: Path, storage: Path) -> SmokeTest:
    """Load config, network and weights with litgpt's own classes, as far as they are there.

    Raises:
        SmokeTestFailed: something does not fit.
    """
    documented = Documented(
        software=f"the arguments that litgpt {DOCUMENTED} documents",
        done="pretrain.yaml has arguments of litgpt pretrain, Config and TrainArgs alone, of their types.",
        parameters=_read(folder).parameters(),
    )
    return try_framework("litgpt", "studies.exports.smoke.litgpt_check", run, folder, documented)


def _read(folder: Path) -> PretrainFile:
    try:
        content: Any = yaml.safe_load((folder / "pretrain.yaml").read_text(encoding="utf-8"))
        return PretrainFile.model_validate(content)
    except (ValidationError, yaml.YAMLError) as error:
        raise SmokeTestFailed("litgpt", f"pretrain.yaml is not what litgpt documents ({error})") from error
