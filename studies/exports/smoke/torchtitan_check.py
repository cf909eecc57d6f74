"""Run with the folder of a torchtitan export: loads it with torchtitan's own classes, and tells what it saw.

Importing torchtitan needs triton, which torch has on Linux with CUDA only. Without it the one module that asks for it,
kernels for mixtures of experts, is replaced by an empty one: no network of ours has experts.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from model.tokenizer import END_OF_TEXT_ID
from studies.exports.smoke.child import LIMIT_PARAMETERS, Checked, report
from studies.exports.smoke.own_logits import compare, some_tokens
from trainer.config import OptimizationConfig
from trainer.plan import RunPlan, learning_rate
from trainer.run_folder import read_pretrain_config

KERNELS = "torchtitan.models.moe.kernels"
COMPARED_STEPS = 1000
"""Steps whose rates are compared."""


def import_torchtitan() -> list[str]:
    """Import torchtitan; what had to be left out.

    Raises:
        ImportError: it cannot be imported.
    """
    try:
        importlib.import_module("torchtitan.models.qwen3")
    except ModuleNotFoundError as error:
        if error.name != "triton":
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchtitan"]:
            del sys.modules[name]
        kernels = ModuleType(KERNELS)
        vars(kernels)["generate_permute_indices"] = None
        sys.modules[KERNELS] = kernels
        importlib.import_module("torchtitan.models.qwen3")
        return ["triton is not installed: torchtitan's kernels for experts, which this network has not, were left out."]
    return []


def check(folder: Path, plan: RunPlan) -> Checked:
    """Load the folder's config, build its network, and compare the network with Formulary's.

    Raises:
        ValueError: logits, rates or tokens differ.
        Exception: torchtitan refuses something.
    """
    try:
        left_out = import_torchtitan()
    except ImportError as error:
        return Checked(importable=False, left_out=(f"it cannot be imported here ({error}).",))
    from torchtitan.config import ConfigManager
    from torchtitan.protocols.train_spec import get_train_spec

    config = ConfigManager().parse_args([f"--job.config_file={folder / 'train.toml'}"])
    optimization = read_pretrain_config(folder).optimization
    sys.path.insert(0, str(folder))
    importlib.import_module(config.experimental.custom_import)
    spec: Any = get_train_spec(config.model.name)
    args = spec.model_args[config.model.flavor]
    args.update_from_config(config)
    with torch.device("meta"):
        parameters = count(spec.model_cls(args))
    done = ["ConfigManager read train.toml.", "get_train_spec found the network, and its class was built."]
    if parameters > LIMIT_PARAMETERS:
        left_out.append(f"With more than {LIMIT_PARAMETERS:,} parameters the weights were not loaded and not run.")
    else:
        done.append(compare_logits(spec, args, folder))
    done.append(check_tokenizer(spec.build_tokenizer_fn(config), args.vocab_size))
    done.append(check_rates(spec, config, optimization, plan))
    return Checked(done=tuple(done), left_out=tuple(left_out), parameters=parameters)


def count(network: nn.Module) -> int:
    """Parameters, a shared one once."""
    return sum(parameter.numel() for parameter in network.parameters())


def compare_logits(spec: Any, args: Any, folder: Path) -> str:
    """Load ``model.safetensors`` by torchtitan's adapter and compare its logits with ours; what was seen.

    Raises:
        ValueError: a weight is missing or left over, or the logits differ.
    """
    weights = load_file(folder / "model.safetensors")
    network = spec.model_cls(args)
    network.load_state_dict(spec.state_dict_adapter(args, str(folder)).from_hf(weights))
    tokens_bs = some_tokens(args.max_seq_len, args.vocab_size)
    with torch.no_grad():
        logits_bsv = network(tokens_bs)
    return f"Its adapter loaded model.safetensors, and {compare(folder, tokens_bs, logits_bsv)}."


def check_tokenizer(tokenizer: Any, vocabulary: int) -> str:
    """Check that torchtitan cuts a document as Formulary does, END_OF_TEXT before it and nothing after it.

    Raises:
        ValueError: it does not.
    """
    tokens = tokenizer.encode("a", add_bos=True, add_eos=True)
    if tokenizer.get_vocab_size() != vocabulary or tokens[0] != END_OF_TEXT_ID or END_OF_TEXT_ID in tokens[1:]:
        raise ValueError(f"the tokenizer has {tokenizer.get_vocab_size()} tokens and makes {tokens} of the text a")
    return "Its tokenizer puts END_OF_TEXT before each document, and nothing after it, as Formulary does."


def check_rates(spec: Any, config: Any, optimization: OptimizationConfig, plan: RunPlan) -> str:
    """Compare the learning rates of torchtitan's schedule with ours, at up to ``COMPARED_STEPS`` steps; what was seen.

    Raises:
        ValueError: they differ by more than the step that torchtitan is behind after the warm-up.
    """
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=config.optimizer.lr)
    scheduler = spec.build_lr_schedulers_fn([optimizer], config.lr_scheduler, config.training.steps).schedulers[0]
    factor = scheduler.lr_lambdas[0]
    if config.training.steps != plan.steps:
        raise ValueError(f"torchtitan would train {config.training.steps} steps instead of {plan.steps}")
    for step in range(1, plan.steps + 1, -(-plan.steps // COMPARED_STEPS)):
        behind = step if step <= plan.warmup_steps else max(step - 1, plan.warmup_steps, 1)
        theirs, ours = config.optimizer.lr * factor(step - 1), learning_rate(optimization, plan, behind)
        if step > 1 and abs(theirs - ours) > 1e-6 * optimization.learning_rate:
            raise ValueError(f"the learning rate of step {step} is {theirs:.4g} instead of {ours:.4g}")
    return "Its learning rates are Formulary's, after the warm-up those of the step before."


if __name__ == "__main__":
    steps, warmup_steps, cooldown_steps = map(int, sys.argv[2:])
    report(check(Path(sys.argv[1]), RunPlan(steps, warmup_steps, frozenset(), cooldown_steps)))
