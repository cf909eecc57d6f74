"""Training one network on real text; no database, no cluster."""
