"""A figure as a page of its own: it needs no server and no network."""

import json
from html import escape
from importlib.metadata import distribution
from pathlib import Path

from api.plots.style import Json

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ font-family: sans-serif; margin: 1.5rem; }} #figure {{ height: 85vh; }}</style></head>
<body><h1>{title}</h1><div id="figure"></div>
<script>{plotly}</script>
<script>const figure = {figure};
Plotly.newPlot("figure", figure.data, figure.layout, {{responsive: true}});</script></body></html>
"""


def page(title: str, figure: Json) -> str:
    """HTML with the figure, and the installed plotly.js inside."""
    script = Path(str(distribution("plotly").locate_file("plotly/package_data/plotly.min.js")))
    data = json.dumps(figure).replace("<", "\\u003c")  # no text can end the script
    return PAGE.format(title=escape(title), plotly=script.read_text(encoding="utf-8"), figure=data)
