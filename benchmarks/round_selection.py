"""Choosing a later round from ten million batches: 10 s over its seconds and 1 GB over its peak, whichever is less.

It runs in a process of its own, whose whole peak is counted, Python and numpy included.
"""

import json
import subprocess
import sys

BATCHES, PARTS, RATE = 10**7, 8, 0.5
SECONDS, PEAK_BYTES = 10.0, 1e9
REPEATS = 3


def main() -> None:
    """Choose a few rounds by loss and print the longest CPU time of one and the peak of the process as JSON."""
    import resource
    import time

    import numpy as np

    from trainer.rounds.plan import RoundPlan
    from trainer.rounds.selection import select_round

    losses = np.random.default_rng(0).normal(3.0, 0.2, BATCHES).astype(np.float32)
    plan = RoundPlan(2, PARTS, BATCHES, int(RATE * BATCHES))
    seconds = []
    for number in range(2, REPEATS + 2):
        start = time.process_time()
        order = select_round(losses, plan, "loss", 0, number)
        seconds.append(time.process_time() - start)
        assert order.size == plan.later_steps
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": max(seconds), "peak_bytes": peak}))


def measure() -> float:
    """The smaller of the two ratios."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.round_selection"], capture_output=True, check=True)
    found = json.loads(done.stdout)
    print(
        f"{BATCHES:,} batches in {PARTS} parts: {found['seconds']:.2f} s, a peak of {found['peak_bytes'] / 1e6:.0f} MB"
    )
    return float(min(SECONDS / found["seconds"], PEAK_BYTES / found["peak_bytes"]))


if __name__ == "__main__":
    main()
