"""The API process reaches the service; it must not load what trains."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "ray", "optuna", "transformers", "studies.runner", "studies.operations"}


def test_the_service_loads_neither_torch_nor_ray() -> None:
    code = "import json, sys; import studies.service, studies.database; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not HEAVY & set(json.loads(done.stdout))
