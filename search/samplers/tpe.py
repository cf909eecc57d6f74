"""Tree-structured Parzen estimators (arXiv 2304.11127; of several objectives, Ozaki et al. 2020, GECCO)."""

import optuna

from search.samplers.ask_and_tell import OptunaSampler, UnitCube


class _Tpe(UnitCube, optuna.samplers.TPESampler):
    """On the unit cube."""


class TpeSampler(OptunaSampler):
    """Points are likely under the density of the good ones and unlikely under that of the others.

    Those that still run count as bad ones (constant liar), which keeps parallel trials apart.
    """

    def _build(self, seed: int) -> UnitCube:
        return _Tpe(seed=seed, multivariate=True, constant_liar=True)
