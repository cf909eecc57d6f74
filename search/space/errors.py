"""Why a space holds nothing."""

from model.errors import InvalidInput


class InfeasibleSpace(InvalidInput):
    """No point satisfies the space and its constraints together."""
