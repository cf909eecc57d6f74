"""The end of a round of ten million batches: 10 s over its seconds and 1 GB over its peak, whichever is less.

It is the whole of what stands between two rounds: the losses are read into the record, and as many batches as the round
had are chosen by them; after the first round, and after the second, whose batches came in a chosen order. It
runs in a process of its own, whose whole peak is counted, Python, numpy and torch included.
"""

import json
import subprocess
import sys

BATCHES, PARTS = 10**7, 8
SECONDS, PEAK_BYTES = 10.0, 1e9


def main() -> None:
    """End two rounds and print the CPU time of each and the peak of the process as JSON."""
    import resource
    import time

    import numpy as np
    import torch

    from trainer.parallel.world import alone
    from trainer.rounds.batches import RoundBatches
    from trainer.rounds.choosing import Rounds
    from trainer.rounds.config import RoundsConfig
    from trainer.rounds.plan import RoundPlan

    torch.set_num_threads(1)
    plan = RoundPlan(3, PARTS, BATCHES, BATCHES)
    batches = RoundBatches(np.zeros(3, dtype=np.uint16), 1, 1, 0, plan, fresh=False)
    rounds = Rounds(RoundsConfig(rounds=3, parts=PARTS, sampling_rate=1.0), plan, [batches], alone())
    assert rounds.record is not None
    seconds = []
    for step in plan.boundaries:
        rounds.record.add(slice(0, BATCHES), torch.empty(1, BATCHES).normal_(3.0, 0.2))
        start = time.process_time()
        rounds.end(step, lambda first: torch.empty(0))
        seconds.append(time.process_time() - start)
    assert sorted(batches.orders) == [2, 3]
    assert np.isfinite(rounds.record.losses).all()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": seconds, "peak_bytes": peak}))


def measure() -> float:
    """The smaller of the two ratios."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.round_selection"], capture_output=True, check=True)
    found = json.loads(done.stdout)
    shown = ", then ".join(f"{seconds:.2f} s" for seconds in found["seconds"])
    print(f"{BATCHES:,} batches in {PARTS} parts: {shown}, a peak of {found['peak_bytes'] / 1e6:.0f} MB")
    return float(min(SECONDS / max(found["seconds"]), PEAK_BYTES / found["peak_bytes"]))


if __name__ == "__main__":
    main()
