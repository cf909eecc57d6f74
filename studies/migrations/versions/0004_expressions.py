"""What stored formulas need to be evaluated and drawn without knowing their kind."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

POWER = "c * (batch_tokens / reference_batch_tokens) ** r"
EXPRESSIONS = {
    "power": POWER,
    "broken_power": f"{POWER} * max(1, batch_tokens / knot_batch_tokens) ** r_change",
    "linear_log_depth": "level + depth_slope * log2(depth / reference_depth)",
    "quadratic_log_depth": "level + depth_slope * log2(depth / reference_depth)"
    " + depth_curvature * log2(depth / reference_depth) ** 2",
}
RATIO = " + ratio_effect * log2(ffn_ratio / reference_ffn_ratio)"

formulas = sa.table("formulas", sa.column("id", sa.Integer()), sa.column("document", sa.JSON()))


def upgrade() -> None:
    """Add the expression, how the covariance is read, and what is drawn over what."""
    _change(_described)


def downgrade() -> None:
    """Take them away."""
    _change(_bare)


def _change(change: Any) -> None:
    connection = op.get_bind()
    for identity, document in connection.execute(sa.select(formulas.c.id, formulas.c.document)).all():
        connection.execute(sa.update(formulas).where(formulas.c.id == identity).values(document=change(document)))


def _described(document: dict[str, Any]) -> dict[str, Any]:
    rate = document["kind"] == "learning_rate_batch"
    axes = ["batch_tokens", "learning_rate"] if rate else ["depth", document["held_out_unit"]]
    evidence = {**document["evidence"], "axes": axes}
    coefficients = dict(document["coefficients"])
    if "covariance" not in evidence:
        return {**document, "evidence": evidence}
    expression = EXPRESSIONS[document["form"]]
    if "ratio_effect" in coefficients:
        unmeasured = {"low": None, "high": None, "level": 0.95, "unit": "1", "paper": None, "verdict": None}
        coefficients.setdefault("reference_ffn_ratio", {"estimate": 1.0, **unmeasured})
        expression += RATIO
    evidence["covariance"] = {**evidence["covariance"], "logs": ["c"] if rate else [], "logarithmic": rate}
    return {**document, "expression": expression, "coefficients": coefficients, "evidence": evidence}


def _bare(document: dict[str, Any]) -> dict[str, Any]:
    evidence = {name: value for name, value in document["evidence"].items() if name != "axes"}
    if "covariance" in evidence:
        known = evidence["covariance"].items()
        evidence["covariance"] = {name: value for name, value in known if name not in ("logs", "logarithmic")}
    kept = {name: value for name, value in document.items() if name not in ("expression", "variant", "supply")}
    return {**kept, "evidence": evidence}
