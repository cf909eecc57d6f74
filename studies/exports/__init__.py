"""Exports: a recipe as a folder that trains, in one of several formats."""

from studies.exports.provenance import Provenance, collect_provenance
from studies.exports.smoke import SmokeTest, SmokeTestFailed
from studies.exports.write import EXPORTERS, ExportedFile, ExportManifest, write_export

__all__ = [
    "EXPORTERS",
    "ExportManifest",
    "ExportedFile",
    "Provenance",
    "SmokeTest",
    "SmokeTestFailed",
    "collect_provenance",
    "write_export",
]
