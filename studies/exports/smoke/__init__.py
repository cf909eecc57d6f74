"""Trying an export before it is offered."""

from studies.exports.smoke.result import SmokeTest, SmokeTestFailed

__all__ = ["SmokeTest", "SmokeTestFailed"]
