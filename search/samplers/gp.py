"""Bayesian optimisation with a Gaussian process, as Optuna's ``GPSampler`` does it; needs torch in the driver."""

import optuna

from search.samplers.ask_and_tell import OptunaSampler, UnitCube


class _Gp(UnitCube, optuna.samplers.GPSampler):
    """On the unit cube."""


class GpSampler(OptunaSampler):
    """Points of the largest expected improvement (its logarithm, arXiv 2310.20708; of hypervolume, where there are
    several objectives) under a Matérn 5/2 kernel with a length scale for each axis.

    Points that still run are averaged over. The kernel is fitted anew for each suggestion, from the same beginning,
    so that it depends on the history alone.
    """

    def _build(self, seed: int) -> UnitCube:
        return _Gp(seed=seed)
