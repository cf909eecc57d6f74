"""Digests: the identity of a spec, and what is kept of a secret."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def document_digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of a document as canonical JSON: the same however it was laid out."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def text_digest(text: str) -> str:
    """SHA-256 of a text, by which a secret is found without being kept."""
    return hashlib.sha256(text.encode()).hexdigest()
