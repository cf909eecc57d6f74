"""Compare InternEvo's config with what InternEvo documents: it is no package that could be installed.

The file is parsed and never executed: assignments of literals to names are all that it may hold. The schema follows
``doc/en/usage.md``, ``configs/7B_llama2.py``, ``internlm/initialize/launch.py`` (``args_sanity_check``) and
``internlm/model/modeling_llama.py`` (``build_model_with_cfg``) at commit c628a8c.
"""

import ast
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from studies.exports.run import Run
from studies.exports.smoke.counting import check_count, decoder_parameters
from studies.exports.smoke.result import SmokeTest, SmokeTestFailed
from studies.recipe.formats import INTERNEVO_FFN_MULTIPLE

DOCUMENTED = "InternEvo's documentation and code at commit c628a8c"
CONFIG = "internevo_config.py"
Positive = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Ckpt(_Section):
    enable_save_ckpt: bool
    save_ckpt_folder: Annotated[str, Field(pattern="^(local|boto3|volc|oss2):")]
    load_ckpt_info: None
    auto_resume: bool
    checkpoint_every: Positive
    async_upload: bool
    oss_snapshot_freq: Positive


class _Data(_Section):
    seq_len: Positive
    micro_num: Positive
    micro_bsz: Positive
    valid_micro_num: Positive
    valid_every: int
    pack_sample_into_one: bool
    total_steps: Positive
    skip_batches: str
    rampup_batch_size: str
    min_length: int
    train_folder: str
    valid_folder: str | None
    empty_cache_and_diag_interval: int
    diag_outlier_ratio: float
    seed: Annotated[int, Field(ge=0, lt=2**32)]


class _Fp16(_Section):
    initial_scale: int
    min_scale: int
    growth_interval: int


class _GradScaler(_Section):
    fp16: _Fp16
    growth_factor: float
    backoff_factor: float
    max_scale: int
    hysteresis: int


class _HybridZero(_Section):
    overlap_sync_grad: bool
    overlap_sync_param: bool
    reduce_bucket_size: int
    clip_grad_norm: float


class _Loss(_Section):
    label_smoothing: float


class _Adam(_Section):
    lr: float
    adam_beta1: float
    adam_beta2: float
    adam_beta2_c: float
    adam_eps: float
    weight_decay: float


class _LRScheduler(_Section):
    total_steps: Positive
    init_steps: int
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)]
    eta_min: float
    last_epoch: Literal[-1]


class _Beta2Scheduler(_Section):
    init_beta2: float
    c: float
    cur_iter: Literal[-1]


class Model(_Section):
    """The arguments of ``build_model_with_cfg``."""

    checkpoint: bool
    num_chunks: Literal[1]
    num_attention_heads: Positive
    num_kv_attention_heads: Positive
    embed_split_hidden: bool
    vocab_size: Positive
    embed_grad_scale: Literal[1]
    parallel_output: bool
    hidden_size: Positive
    num_layers: Positive
    no_bias: Literal[True]
    mlp_ratio: Annotated[float, Field(gt=0)]
    apply_post_layer_norm: Literal[False]
    dtype: Literal["torch.bfloat16", "torch.float32"]
    norm_type: Literal["rmsnorm"]
    layer_norm_epsilon: float
    adapt_hf: bool
    use_flash_attn: Literal[True]
    rope_base: Positive
    use_scaled_init: bool
    init_type: Literal["normal", "uniform"]
    embedding_init_std: float
    attn_wqkv_init_std: float
    attn_other_init_std: float
    ffn_uplayer_init_std: float
    ffn_other_init_std: float
    out_head_init_std: float

    @property
    def ffn_width(self) -> int:
        """As ``PackedFlashLlamaLayer1D`` and ``BaseFeedForward`` compute it."""
        hidden = int(self.hidden_size * self.mlp_ratio)
        return -(-hidden // INTERNEVO_FFN_MULTIPLE) * INTERNEVO_FFN_MULTIPLE

    def parameters(self) -> int:
        """Parameters of ``PackedFlashLlama1D``."""
        head_dim = self.hidden_size // self.num_attention_heads
        return decoder_parameters(
            vocabulary=self.vocab_size,
            width=self.hidden_size,
            depth=self.num_layers,
            query_width=self.hidden_size,
            kv_width=head_dim * self.num_kv_attention_heads,
            ffn_width=self.ffn_width,
            head_norms=0,
            tied=False,
        )


class _Size(_Section):
    size: int


class _Tensor(_Section):
    size: int
    mode: Literal["mtp", "msp", "fsp", "isp"]


class _Pipeline(_Section):
    size: int
    interleaved_overlap: bool


class _Weight(_Section):
    size: int
    overlap: bool
    memory_pool: bool


class _Parallel(_Section):
    zero1: _Size
    tensor: _Tensor
    pipeline: _Pipeline
    weight: _Weight


class _Alert(_Section):
    enable_feishu_alert: bool
    feishu_alert_address: str | None
    light_monitor_address: str | None
    alert_file_path: str


class _Tensorboard(_Section):
    queue_max_length: int


class _Monitor(_Section):
    alert: _Alert
    tensorboard: _Tensorboard


class ConfigFile(_Section):
    """The names that the config file assigns."""

    JOB_NAME: str
    model_type: Literal["LLAMA2"]
    DO_ALERT: bool
    ckpt: _Ckpt
    data: _Data
    grad_scaler: _GradScaler
    hybrid_zero_optimizer: _HybridZero
    loss: _Loss
    adam: _Adam
    lr_scheduler: _LRScheduler
    beta2_scheduler: _Beta2Scheduler
    use_fp32_norm: bool
    model: Model
    parallel: _Parallel
    cudnn_deterministic: bool
    cudnn_benchmark: bool
    monitor: _Monitor


def smoke(run: Run, folder: Path, storage: Path) -> SmokeTest:
    """Parse the config, compare it with the schema, and compute from it what the recipe says.

    Raises:
        SmokeTestFailed: something does not fit.
    """
    try:
        document = ConfigFile.model_validate(read_literals((folder / CONFIG).read_text(encoding="utf-8")))
    except (ValidationError, ValueError, SyntaxError) as error:
        raise SmokeTestFailed("internevo", f"its config is not what InternEvo documents ({error})") from error
    check_count("internevo", document.model.parameters(), run.config.architecture)
    scheduled, data = document.lr_scheduler, document.data
    warmup, batch = int(scheduled.total_steps * scheduled.warmup_ratio), data.micro_num * data.micro_bsz * run.gpus
    if (warmup, scheduled.total_steps, batch) != (run.plan.warmup_steps, run.plan.steps, run.batch_sequences):
        raise SmokeTestFailed("internevo", f"it warms up for {warmup} steps, with batches of {batch} sequences")
    return SmokeTest(
        method="schema",
        software=DOCUMENTED,
        done=(
            "internevo_config.py holds assignments of literals alone, with the names and types of InternEvo's configs.",
            "FFN width, parameters, steps of warm-up and batch were computed from it as InternEvo's code does.",
        ),
        left_out=("InternEvo is no package that installs beside Formulary: its code was read, not run.",),
        parameters=document.model.parameters(),
    )


def read_literals(source: str) -> dict[str, Any]:
    """The names that a Python file assigns, without executing it.

    Raises:
        ValueError: a statement is no assignment of a literal to one name.
        SyntaxError: it is not Python.
    """
    values: dict[str, Any] = {}
    for statement in ast.parse(source).body:
        if not (
            isinstance(statement, ast.Assign)
            and len(statement.targets) == 1
            and isinstance(statement.targets[0], ast.Name)
        ):
            raise ValueError(f"line {statement.lineno} is no assignment to a name")
        values[statement.targets[0].id] = ast.literal_eval(statement.value)
    return values
