"""Which configs are ranked, at which sizes and lengths."""

from dataclasses import dataclass

from scipy.stats import qmc

from search.constraints import Constraints, TotalParameters
from search.parameters import FloatParameter, IntParameter
from search.proxy import proxy_config
from search.space import Space
from trainer.config import ProxyConfig, ProxySettings

SIZES = (150_000, 600_000)
"""Total parameters."""
LENGTHS = (80_000, 320_000)
"""Bytes of training text, about 33 000 and 130 000 tokens."""
CONFIGS = 12
"""The reference config and eleven of a Sobol design."""
REFERENCE_SEEDS = 5
SPACE = {
    "depth": IntParameter(type="int", low=2, high=8, log=True),
    "ffn_ratio": FloatParameter(type="float", low=1.0, high=4.0),
    "learning_rate": FloatParameter(type="float", low=2e-3, high=2e-2, log=True),
}
REFERENCE = {"depth": 4, "ffn_ratio": 8 / 3, "learning_rate": 6e-3}


@dataclass(frozen=True, slots=True)
class Setting:
    """One size and one length."""

    total_parameters: int
    train_bytes: int

    def __str__(self) -> str:
        return f"{self.total_parameters / 1e3:.0f}k parameters, {self.train_bytes / 1e3:.0f} kB"


SETTINGS = tuple(Setting(size, length) for size in SIZES for length in LENGTHS)
SHORT_SMALL, LONG_SMALL, SHORT_LARGE, LONG_LARGE = SETTINGS
COMPARISONS = (
    ("four times the size, short runs", SHORT_SMALL, SHORT_LARGE),
    ("four times the size, long runs", LONG_SMALL, LONG_LARGE),
    ("four times the length, small networks", SHORT_SMALL, LONG_SMALL),
    ("four times the length, large networks", SHORT_LARGE, LONG_LARGE),
    ("four times both", SHORT_SMALL, LONG_LARGE),
)


def units() -> list[dict[str, float]]:
    """Points of the unit cube, the same at every size."""
    rows = qmc.Sobol(d=len(SPACE), seed=0).random(16)[: CONFIGS - 1]
    return [dict(zip(SPACE, row.tolist(), strict=True)) for row in rows]


def config(setting: Setting, index: int, seed: int = 0) -> ProxyConfig:
    """Config ``index`` at a setting; 0 is the reference. Depth, FFN ratio and rate are kept, the width is solved."""
    settings = ProxySettings(
        train_bytes=setting.train_bytes,
        vocabulary_size=512,
        sequence_length=128,
        batch_tokens=512,
        head_dim=16,
        evaluations=1,
        seed=seed,
    )
    budget = Constraints(total_parameters=TotalParameters(target=setting.total_parameters))
    space = Space.build(SPACE, {}, budget, settings)
    unit = space.unit(REFERENCE) if index == 0 else units()[index - 1]
    point = space.trial(space.point(unit).values, 0)
    return proxy_config(settings, point.values, point.attributes, threads=1)
