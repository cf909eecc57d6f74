"""What is compared with what, and what the paper claims of it: declared before any data are seen."""

import keyword
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from studies.formulas.formula import FormulaKind
from studies.formulas.observations import Observation

MARGIN_SHARE = 0.01
"""Methods whose values differ by less than this share of the first one's are about equal (assumed: at 2 bits per byte
0.02, which is two to four standard deviations between seeds at 1M parameters; of an average score of 50 half a
point)."""
LONGEST_NAME = 40

Test = Literal["order", "sign", "equal"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Of ``second`` against ``first``: better (``order``, ``sign``), or about equal."""

    first: str
    second: str
    test: Test


@dataclass(frozen=True, slots=True)
class Comparison:
    """One kind of comparison."""

    kind: FormulaKind
    paper: str
    """Label of the paper's formula."""
    parameters: frozenset[str]
    """What tells methods apart."""
    methods: tuple[str, ...]
    """The paper's, in its order; the first one that was tried is the reference."""
    label: Callable[[Observation], str | None]
    claims: tuple[Claim, ...]
    missing: Mapping[str, list[str | int | float]]
    """What would have to be tried for every claim, by parameter."""
    usual: Mapping[str, str | int] = field(default_factory=dict)
    """The paper's values of the other parameters, at which its methods are tried."""
    either: frozenset[str] = frozenset()
    """Methods of which the paper means one without saying which: one that was not tried is not missed while another
    was, and the law is decided only where it is whichever is meant."""

    def claims_about(self, tried: Collection[str]) -> tuple[Claim, ...]:
        """The claims, but those about a method that is not missed."""
        spared = self._spared(tried)
        return tuple(claim for claim in self.claims if claim.first not in spared)

    def missed(self, tried: Collection[str]) -> tuple[str, ...]:
        """The paper's methods that would have to be tried as well."""
        spared = self._spared(tried)
        return tuple(method for method in self.methods if method not in tried and method not in spared)

    def _spared(self, tried: Collection[str]) -> frozenset[str]:
        untried = self.either.difference(tried)
        return untried if untried != self.either else frozenset()


def _word(name: str) -> Callable[[Observation], str | None]:
    def label(observation: Observation) -> str | None:
        value = observation.parameters.get(name, observation.attributes.get(name))
        return identifier(value) if isinstance(value, str) and value else None

    return label


def identifier(value: str) -> str:
    """A name that an expression can hold."""
    name = re.sub(r"\W+", "_", value.strip().lower(), flags=re.ASCII).strip("_")[:LONGEST_NAME]
    if not name or name[0].isdigit() or keyword.iskeyword(name) or name == "level":
        return f"method_{name}"
    return name


def _text(observation: Observation, name: str, default: str) -> str:
    value = observation.parameters.get(name, observation.attributes.get(name))
    return value if isinstance(value, str) and value else default


def _inherited(observation: Observation) -> str | None:
    """The choice of neurons, and that of layers where it is not the paper's; without inheritance there is no choice."""
    neurons, layers = _word("inherit_method")(observation), _text(observation, "inherit_layers", PAPER_LAYERS)
    if neurons in (None, NOT_INHERITED) or layers == PAPER_LAYERS:
        return neurons
    return identifier(f"{neurons}_of_{layers}_layers")


def _rounds(observation: Observation) -> str | None:
    """Number, rate, and how batches are chosen where that is not the paper's way; one round chooses none."""
    rounds, rate = observation.number_of("rounds"), observation.number_of("sampling_rate")
    if rounds is None or rounds < 1:
        return None
    if rounds == 1:
        return "rounds_1"
    selection, parts = _text(observation, "round_selection", "loss"), observation.number_of("parts") or PAPER_PARTS
    at_end = selection in CHOSEN_BY_LOSS and _text(observation, "round_losses", "during") == "end"
    label = [
        f"rounds_{rounds:.0f}",
        "" if rate is None else f"at_{100 * rate:.3g}",
        "" if selection == "loss" else selection,
        "losses_at_end" if at_end else "",
        "" if parts == PAPER_PARTS or selection == "fresh" else f"{parts:.0f}_parts",
    ]
    return identifier("_".join(filter(None, label)))


SCHEMES = ("constant", "gpt2", "internlm")
NOT_INHERITED = "none"
INHERITANCE = ("random", "l1", "l2", "taylor", "learned_mask")
PAPER_LAYERS = "importance"
PAPER_PARTS = 8
CHOSEN_BY_LOSS = ("loss", "top_loss")
"""Selections that read the losses of the first round."""
ROUNDS = ("rounds_1", "rounds_2_at_50", "rounds_3_at_50")

INITIALIZATION = Comparison(
    kind="initialization",
    paper="F3",
    parameters=frozenset({"init_scheme"}),
    methods=SCHEMES,
    label=_word("init_scheme"),
    claims=(
        Claim("constant", "gpt2", "equal"),
        Claim("constant", "internlm", "equal"),
        Claim("gpt2", "internlm", "equal"),
    ),
    missing={"init_scheme": list(SCHEMES)},
)
"""F3: constant, GPT-2's and InternLM's initialisation are about equal. muP is none of the paper's; it is compared
without a claim."""
INHERITED = Comparison(
    kind="inheritance",
    paper="F4",
    parameters=frozenset({"inherit_method", "inherit_layers"}),
    methods=(NOT_INHERITED, *INHERITANCE),
    label=_inherited,
    claims=(
        Claim(NOT_INHERITED, INHERITANCE[1], "order"),
        *(Claim(worse, better, "order") for worse, better in pairwise(INHERITANCE)),
    ),
    missing={"inherit_method": [NOT_INHERITED, *INHERITANCE]},
    usual={"inherit_layers": PAPER_LAYERS},
    either=frozenset({NOT_INHERITED, "random"}),
)
"""F4: random 42.06 < L1 46.06 < L2 47.00 < Taylor 47.90 < learned mask 48.08 (average score). What is random there, the
choice of the parent's neurons or all weights, the notes do not say (docs/decisions.md): both stand before L1."""
MULTIPLE_ROUNDS = Comparison(
    kind="multiple_rounds",
    paper="F6",
    parameters=frozenset({"rounds", "sampling_rate", "parts", "round_selection", "round_losses"}),
    methods=ROUNDS,
    label=_rounds,
    claims=(Claim("rounds_1", "rounds_2_at_50", "sign"), Claim("rounds_2_at_50", "rounds_3_at_50", "equal")),
    missing={"rounds": [1, 2, 3], "sampling_rate": [0.5]},
    usual={"round_selection": "loss", "round_losses": "during", "parts": PAPER_PARTS},
)
"""F6: a second round over half the data is better (51.61 to 54.46), a third adds nothing (54.44)."""
