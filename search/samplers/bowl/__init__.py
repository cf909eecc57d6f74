"""Bayesian optimisation that expects a bowl: the default of ``purpose: optimise``."""

from search.samplers.bowl.sampler import BowlSampler

__all__ = ["BowlSampler"]
