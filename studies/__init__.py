"""Studies: what is stored, run, fitted and exported."""
