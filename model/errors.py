"""The root of every error that Formulary raises on purpose.

Deeper folders derive their own from these two; the HTTP layer renders all of them in one handler and the
command line prints them as one line.
"""


class FormularyError(Exception):
    """An error whose text is written for the user: what is wrong and what to do."""


class InvalidInput(FormularyError):
    """The user's input cannot be used.

    Args:
        field: dotted path of the offending field, e.g. ``space.depth.low``.
        reason: what is wrong with it, with the offending value.
        remedy: what to write instead.
    """

    def __init__(self, field: str, reason: str, remedy: str) -> None:
        super().__init__(f"{field}: {reason}; {remedy}")
        self.field = field
        self.reason = reason
        self.remedy = remedy
