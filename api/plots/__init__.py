"""Figures for plotly.js as plain JSON values: importing plotly here would cost each API process a second.

A browser gives them its colours of ground, text and grid; the colours of data are ``style.PALETTE``.
"""

from api.plots.registry import figure, names

__all__ = ["figure", "names"]
