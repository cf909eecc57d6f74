"""Do rankings of small, short runs hold at a larger size and a greater length? ``python -m benchmarks.fidelity``."""
