"""Validations: is a recipe as good as its rivals at sizes beyond the trials, and does that hold as size grows?"""
