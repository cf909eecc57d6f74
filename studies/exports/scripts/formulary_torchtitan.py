"""Registers the network of ``model_args.json``, beside this file, with torchtitan under the name ``formulary``.

torchtitan imports this module, because ``train.toml`` names it in ``experimental.custom_import``.
"""

import json
from dataclasses import replace
from pathlib import Path

from torchtitan.models.qwen3 import Qwen3ModelArgs, get_train_spec
from torchtitan.protocols.train_spec import register_train_spec

MODEL_ARGS = json.loads(Path(__file__).with_name("model_args.json").read_text(encoding="utf-8"))
register_train_spec("formulary", replace(get_train_spec(), model_args={"recipe": Qwen3ModelArgs(**MODEL_ARGS)}))
