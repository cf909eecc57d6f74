"""Estimators that the laws share: profiles of the learning rate, linear models, shapes, budgets and groups."""
