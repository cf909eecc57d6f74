"""Exports: a recipe as a folder that trains, in one of several formats."""

from studies.exports.provenance import Provenance, collect_provenance
from studies.exports.write import EXPORTERS, ExportedFile, ExportManifest, check_export, write_export

__all__ = [
    "EXPORTERS",
    "ExportManifest",
    "ExportedFile",
    "Provenance",
    "check_export",
    "collect_provenance",
    "write_export",
]
