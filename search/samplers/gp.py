"""Bayesian optimisation with a Gaussian process, as Optuna's ``GPSampler`` does it; needs torch in the driver."""

from collections.abc import Iterator
from contextlib import contextmanager

import optuna
import torch

from search.samplers.ask_and_tell import OptunaSampler, UnitCube
from search.space import Point


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

    def _ask(self, outer: int, seed: int) -> Point:
        with _one_thread():
            return super()._ask(outer, seed)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let PyTorch use one thread: the matrices are small, and its others spin where trials keep the cores busy.

    A suggestion at 60 points took 67 ms of CPU instead of 250 (measured on two busy cores).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
