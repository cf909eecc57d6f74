"""The LaTeX of formulas as MathML."""

from xml.etree import ElementTree

import httpx
import pytest

from api.web.mathml import UnknownLatex, mathml


def read(latex: str) -> str:
    """The MathML as a line: scripts and fractions in brackets."""
    return _read(ElementTree.fromstring(mathml(latex)))


def _read(node: ElementTree.Element) -> str:
    children = [_read(child) for child in node]
    forms = {"msup": "{}^[{}]", "msub": "{}_[{}]", "msubsup": "{}_[{}]^[{}]", "mfrac": "[{}/{}]"}
    return forms[node.tag].format(*children) if node.tag in forms else (node.text or "") + "".join(children)


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\eta^{*} = c\,(B/B_0)^{r}", "η^[∗]=c(B/B_[0])^[r]"),
        (r"0.0204\left(\frac{B}{512}\right)^{0.31}", "0.0204([B/512])^[0.31]"),
        (r"\max\left(1, \frac{B}{393216}\right)^{-0.48}", "max(1,[B/393216])^[−0.48]"),
        (r"y = 3.5 -0.07\,\log_2\frac{\rho}{\rho_0}", "y=3.5−0.07log_[2][ρ/ρ_[0]]"),
        (r"\left(\log_2\frac{L}{3}\right)^2", "(log_[2][L/3])^[2]"),
        (r"1.56\times 10^{-3}", "1.56×10^[−3]"),
        (r"+1.2e-05\,x", "+1.2×10^[−5]x"),
    ],
)
def test_converts_what_formulas_use(latex: str, expected: str) -> None:
    assert read(latex) == expected


@pytest.mark.parametrize(
    "latex", [r"\sqrt{x}", r"\frac{a}", r"\left(", "{x", "x^", "<script>", "x & y", r"\left(x\right"]
)
def test_says_what_it_does_not_know(latex: str) -> None:
    with pytest.raises(UnknownLatex):
        mathml(latex)


def test_every_formula_of_a_study_is_converted(http: httpx.Client, study: int) -> None:
    formulas = http.get(f"/v1/studies/{study}/formulas").json()["formulas"]
    assert formulas
    for formula in formulas:
        assert mathml(formula["latex"]).startswith("<math")
