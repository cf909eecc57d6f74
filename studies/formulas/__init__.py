"""The laws: plain rows in, formulas with intervals and verdicts out.

Import the modules: ``registry`` fits, and loads scipy, which takes a second; ``formula``, ``evaluation`` and
``observations`` are quick.
"""
