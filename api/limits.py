"""How long request bodies may be."""

MAX_TABLE_BYTES = 32 * 2**20
"""Longest table to import (assumed: 200 000 runs with ten columns)."""
MAX_DOCUMENT_BYTES = 2**20
"""Longest body of every other request (assumed: a spec is a page)."""
