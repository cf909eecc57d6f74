"""Runs a check in a process of its own: it imports another framework, and may not take memory or time without end.

A check is a module that is run with an export's folder as its argument and ends with ``report``.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from model.config import FrozenConfig
from studies.exports.smoke.result import SmokeTestFailed

TIMEOUT_SECONDS = 600
"""Longest check (assumed: importing torchtitan and a forward pass of a small network take ten seconds)."""
MAX_SAID = 600
"""Characters of a failed check's last words that are shown."""
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "HF_HOME")
"""Variables of the environment that a check gets; no keys and no addresses are among them."""
LIMIT_PARAMETERS = 100_000_000
"""Largest network that a check builds with its weights and runs (assumed: 400 MB in float32); larger ones are built
without memory for their weights."""


class Checked(FrozenConfig):
    """What a check found."""

    importable: bool = True
    done: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    parameters: int = 0


def report(checked: Checked) -> None:
    """Tell the parent what was found, as the last line of standard output."""
    sys.stdout.write(f"\n{checked.model_dump_json()}\n")


def run_check(format: str, module: str, folder: Path, *arguments: int) -> Checked:
    """Run the module ``module`` in an export's folder, with the folder and ``arguments``.

    Raises:
        SmokeTestFailed: it does not end well.
    """
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "HF_HUB_OFFLINE": "1"}
    environment |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-B", "-P", "-m", module, str(folder), *map(str, arguments)]
    try:
        ended = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SmokeTestFailed(format, f"its check took more than {TIMEOUT_SECONDS} seconds") from error
    if ended.returncode != 0:
        last_words = ended.stderr.strip()[-MAX_SAID:] or "it said nothing"
        raise SmokeTestFailed(format, f"its check ended with status {ended.returncode}: {last_words}")
    found: Any = json.loads(ended.stdout.rstrip().rpartition("\n")[2])
    return Checked.model_validate(found)
