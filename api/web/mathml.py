r"""The LaTeX that formulas are stored with, as MathML, which browsers draw without a script or a font of ours.

Only what formulas use is known: letters, numbers, ``\frac``, ``\left( \right)``, scripts, Greek letters, functions.
"""

import re
from dataclasses import dataclass

from markupsafe import Markup, escape

TOKEN = re.compile(r"\\[A-Za-z]+|\\,|\d+(?:\.\d+)?(?:e[-+]?\d+)?|[A-Za-z]|[{}^_=+\-*/(),]")
GREEK = {"eta": "η", "rho": "ρ", "alpha": "α", "beta": "β", "gamma": "γ", "lambda": "λ", "sigma": "σ"}
FUNCTIONS = frozenset({"log", "max", "min", "exp", "ln"})
OPERATORS = {"-": "−", "*": "∗", "times": "×", "cdot": "·"}
SPACE = Markup('<mspace width="0.17em"/>')


class UnknownLatex(ValueError):
    """A construct that formulas do not use."""


def mathml(latex: str) -> Markup:
    """Convert a formula's LaTeX.

    Raises:
        UnknownLatex: it holds something that is not converted.
    """
    tokens = TOKEN.findall(latex)
    if "".join(tokens) != re.sub(r"\s", "", latex):
        raise UnknownLatex(latex)
    parser = _Parser(tokens)
    row = parser.row(None)
    return Markup('<math display="block">{}</math>').format(row)


@dataclass
class _Parser:
    tokens: list[str]
    place: int = 0

    def row(self, end: str | None) -> Markup:
        """Everything up to the token ``end``, which is read too, or to the end of the formula."""
        parts: list[Markup] = []
        while self.place < len(self.tokens) and self.tokens[self.place] != end:
            parts.append(self._scripted())
        if end is not None:
            self._take(end)
        return _element("mrow", *parts)

    def _take(self, expected: str | None = None) -> str:
        if self.place >= len(self.tokens) or (expected is not None and self.tokens[self.place] != expected):
            raise UnknownLatex(f"{expected or 'more'} is missing")
        self.place += 1
        return self.tokens[self.place - 1]

    def _scripted(self) -> Markup:
        """An atom with what stands below and above it."""
        base = self._atom()
        scripts = {"_": Markup(), "^": Markup()}
        while self.place < len(self.tokens) and self.tokens[self.place] in scripts:
            script = self._take()
            scripts[script] = self._atom()
        below, above = scripts["_"], scripts["^"]
        if below and above:
            return _element("msubsup", base, below, above)
        if below or above:
            return _element("msub" if below else "msup", base, below or above)
        return base

    def _atom(self) -> Markup:
        token = self._take()
        if token == "{":
            return self.row("}")
        if token == "\\,":
            return SPACE
        if token.startswith("\\"):
            return self._command(token[1:])
        if token[0].isdigit():
            return _number(token)
        if token.isalpha():
            return _element("mi", token)
        return _element("mo", OPERATORS.get(token, token))

    def _command(self, name: str) -> Markup:
        if name == "frac":
            return _element("mfrac", self._atom(), self._atom())
        if name == "left":
            opening = _element("mo", self._take())
            inside = self.row("\\right")
            return _element("mrow", opening, inside, _element("mo", self._take()))
        if name in GREEK:
            return _element("mi", GREEK[name])
        if name in FUNCTIONS:
            return _element("mi", name)
        if name in OPERATORS:
            return _element("mo", OPERATORS[name])
        raise UnknownLatex(name)


def _number(token: str) -> Markup:
    mantissa, _, exponent = token.partition("e")
    if not exponent:
        return _element("mn", mantissa)
    power = _element("msup", _element("mn", "10"), _element("mn", str(int(exponent)).replace("-", "−")))
    return _element("mrow", _element("mn", mantissa), _element("mo", "×"), power)


def _element(tag: str, *children: str) -> Markup:
    inside = Markup().join(escape(child) for child in children)
    return Markup("<{0}>{1}</{0}>").format(Markup(tag), inside)
