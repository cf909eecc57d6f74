"""Figures for plotly.js as plain JSON values.

plotly's own objects would cost each API process half a second (measured), to check what the tests check.

A browser gives them its colours of ground, text and grid; the colours of data are ``style.PALETTE``.
"""

from api.plots.registry import figure, names

__all__ = ["figure", "names"]
