"""The routes, a module for each resource; what they do is in ``studies.service``."""
