"""The HTTP application, its client and the command line."""
