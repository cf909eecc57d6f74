"""Specs as users write them: read, checked, refused with remedies, warned about, written."""
