"""Planted laws, and whether what is fitted to them holds."""
